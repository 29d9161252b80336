"""Find holders and waiters by Temporal's own data: no live worker, no single listing is trusted."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

from temporalio.api.common.v1 import Payloads
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client, WorkflowExecution, WorkflowExecutionStatus
from temporalio.service import RPCError

from .messages import (
    ASK_ACTIVITY,
    MEMO,
    RELEASE_SIGNAL,
    WITHDRAW_SIGNAL,
    Ask,
    Closed,
    Holder,
    Mark,
    Message,
    Permit,
    Release,
    SlotRequest,
    granted_signal,
    semaphore_id,
    valid_requests,
)
from .predecessor import Predecessor
from .server import close_status, is_gone, read_one
from .state import Found

# The listing is eventually consistent, so the first one may lack runs that just started.
LISTING_PAUSE_SECONDS = 1.0
AT_ONCE = 20
# A run that was killed so recently, while no semaphore watched, may have left something running.
RECENT = timedelta(hours=1)
OPEN = "ExecutionStatus = 'Running'"
SAID = EventType.EVENT_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED
KILLED = "ExecutionStatus IN ('Terminated', 'TimedOut')"


class Seen(Message):
    """A run as its history shows it: its request and its last permit.

    `asking`: it wants a place. `released`: the last token that it gave back.
    """

    request: SlotRequest
    status: WorkflowExecutionStatus
    asking: bool = True
    permit: Permit | None = None
    released: int = -1

    @property
    def open(self) -> bool:
        return self.status is WorkflowExecutionStatus.RUNNING


async def find_jobs(client: Client, name: str, *, now: datetime) -> list[Seen]:
    """Return all open runs with the mark of this semaphore, and the recently killed ones.

    `now` is by the server's clock, because this machine's clock may be wrong.
    """
    jobs = {job.run_id: job async for job in _listed(client, name, now)}
    await asyncio.sleep(LISTING_PAUSE_SECONDS)
    jobs |= {job.run_id: job async for job in _listed(client, name, now)}
    at_once = asyncio.Semaphore(AT_ONCE)

    async def look(job: WorkflowExecution) -> Seen | None:
        async with at_once:
            return await read_run(client, job, name=name)

    return [item for item in await asyncio.gather(*map(look, jobs.values())) if item]


async def _listed(client: Client, name: str, now: datetime) -> AsyncIterator[WorkflowExecution]:
    since = (now - RECENT).strftime("%Y-%m-%dT%H:%M:%SZ")
    for condition in (OPEN, f"{KILLED} AND CloseTime > '{since}'"):
        async for run in client.list_workflows(condition):
            if name in names_in(run):
                yield run


def names_in(run: WorkflowExecution) -> list[str]:
    """Return the names of the semaphores whose mark a listed run carries."""
    keys = run.raw_info.memo.fields
    return [key.removeprefix(MEMO) for key in keys if key.startswith(MEMO)]


async def read_run(client: Client, job: WorkflowExecution, *, name: str) -> Seen | None:
    """Read one run by its mark and its history; None if it is gone or can't be read."""
    handle = client.get_workflow_handle(job.id, run_id=job.run_id)
    seen: Seen | None = None
    try:
        async for event in handle.fetch_history_events():
            if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED:
                seen = await _started(client, job, name=name)
            elif event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED and seen:
                seen = await _signalled(client, seen, event=event, name=name)
            elif event.event_type == SAID and seen:
                seen = await _sent_by_run(client, seen, event=event, name=name)
            elif event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED and seen:
                seen = await _asked(client, seen, event=event, name=name)
    except RPCError as error:
        if not is_gone(error):
            raise
        return None
    return seen


async def _started(client: Client, run: WorkflowExecution, *, name: str) -> Seen | None:
    marked = Payloads(payloads=[run.raw_info.memo.fields[f"{MEMO}{name}"]])
    mark = await read_one(client.data_converter, marked, Mark)
    if mark is None:
        return None
    wanted = {
        **dict(mark),
        "job_id": run.id,
        "run_id": run.run_id,
        "requested_at": mark.requested_at or run.start_time,
    }
    if not (requests := valid_requests([wanted])):
        return None
    status = run.status or WorkflowExecutionStatus.RUNNING
    # A run that was started with its mark requests from its beginning.
    return Seen(request=requests[0], status=status, asking=mark.run_id in (None, run.run_id))


async def _signalled(client: Client, seen: Seen, *, event: HistoryEvent, name: str) -> Seen:
    """Apply one signal; ignore a permit for another run (before a reset)."""
    signal = event.workflow_execution_signaled_event_attributes
    if signal.signal_name != granted_signal(name):
        return seen
    permit = await read_one(client.data_converter, signal.input, Permit)
    if permit is None or (permit.run_id, permit.name) != (seen.request.run_id, name):
        return seen
    return seen.model_copy(update={"permit": permit})


async def _asked(client: Client, seen: Seen, *, event: HistoryEvent, name: str) -> Seen:
    """Note that a run requests, for the first time or again."""
    task = event.activity_task_scheduled_event_attributes
    if task.activity_type.name != ASK_ACTIVITY:
        return seen
    asked = await read_one(client.data_converter, task.input, Ask)
    if asked is None or asked.name != name or asked.request.run_id != seen.request.run_id:
        return seen
    return seen.model_copy(update={"asking": True, "request": asked.request})


async def _sent_by_run(client: Client, seen: Seen, *, event: HistoryEvent, name: str) -> Seen:
    """Apply a signal that the run sent to this semaphore, whether it arrived or not."""
    said = event.signal_external_workflow_execution_initiated_event_attributes
    if said.workflow_execution.workflow_id != semaphore_id(name):
        return seen
    if said.signal_name == WITHDRAW_SIGNAL:
        return seen.model_copy(update={"asking": False})
    if said.signal_name != RELEASE_SIGNAL:
        return seen
    release = await read_one(client.data_converter, said.input, Release)
    if release is None:
        return seen
    return seen.model_copy(update={"asking": False, "released": release.token})


async def merged(client: Client, seen: list[Seen], before: Predecessor, *, now: datetime) -> Found:
    """Merge both sources into holders and waiters; `now` is by the server's clock.

    The semaphore's history knows of permits that were not signalled yet, of drains that ended, and
    of recent requests. The runs' histories know what was signalled, also if the semaphore's history
    is deleted. A killed run counts as cleared only if the end of its own drain is seen.
    """
    runs = {item.request.run_id: item for item in seen}
    # The semaphore's own note of a holder comes last, and the later one wins.
    known = [
        Holder(request=item.request, token=item.permit.token, since=now)
        for item in seen
        if item.permit
    ]
    anew = {"drain": None, "drains_since": None, "drains_until": None}
    noted = [each.model_copy(update=anew) for each in before.holders]
    known = sorted([*known, *noted], key=lambda each: each.token)
    held = {each.run.run_id: each for each in known if not _is_given_back(each, runs)}
    holders = [
        each
        for run_id, each in held.items()
        if run_id not in before.cleared and await _may_hold(client, each, runs.get(run_id))
    ]
    asking = {item.request.run_id: item.request for item in seen if item.open and item.asking}
    asked = {request.run_id: request for request in before.waiting if request.run_id not in runs}
    waiting = [each for each in (asked | asking).values() if each.run_id not in held]
    return Found(
        settings=before.settings if before.known else None,
        holders=tuple(holders),
        waiting=tuple(waiting),
        remembered=before.known or not before.recalls,
    )


def _is_given_back(holder: Holder, runs: dict[str, Seen]) -> bool:
    """True if its run gave it back, also if the semaphore never heard of it."""
    run = runs.get(holder.run.run_id)
    return run is not None and holder.token <= run.released


async def _may_hold(client: Client, holder: Holder, run: Seen | None) -> bool:
    """True if the run may hold a place.

    A run that was killed or is unknown counts as a holder: its watch finds out how it closed, and
    clears up. A run that ended in order is out. The permit of an open run is signalled again, in
    case it was lost.
    """
    listed_as_killed = run is not None and not run.open
    if listed_as_killed or holder.request.clean_up is None:
        return True
    return await close_status(client, holder.run) is not Closed.ORDERLY
