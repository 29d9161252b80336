"""Who holds and who waits, from Temporal alone: no live worker, no single listing is trusted."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client, WorkflowExecution, WorkflowExecutionStatus
from temporalio.service import RPCError

from .messages import (
    DEFAULT_PRIORITY,
    GRANTED_SIGNAL,
    JOB_GATE,
    RELEASE_SIGNAL,
    REQUEST_SIGNAL,
    WITHDRAW_SIGNAL,
    Closed,
    Gate,
    Holder,
    Message,
    Permit,
    Release,
    SlotRequest,
    fitting_requests,
    semaphore_id,
)
from .predecessor import Predecessor
from .server import closed_by_now, is_gone, read_one
from .state import Found

# TODO
JOBS = "GenVideoWorkflow"

# The listing is eventually consistent: what started just now may be missing from the first.
LISTING_PAUSE_SECONDS = 1.0
AT_ONCE = 20
# A job killed so recently, while no semaphore watched, may have left a generation running.
RECENT = timedelta(hours=1)
OPEN = "ExecutionStatus = 'Running'"
SAID = EventType.EVENT_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED
KILLED = "ExecutionStatus IN ('Terminated', 'TimedOut')"


class Seen(Message):
    """A job as its history shows it: what it asks for, and its last permit.

    `asking`: whether it wants to pass this gate; `released`: the last token that it gave back.
    """

    request: SlotRequest
    status: WorkflowExecutionStatus
    asking: bool = True
    permit: Permit | None = None
    released: int = -1

    @property
    def open(self) -> bool:
        return self.status is WorkflowExecutionStatus.RUNNING


async def find_jobs(client: Client, gate: Gate, *, now: datetime) -> list[Seen]:
    """All running jobs, and the lately killed ones, as they stand at this gate.

    `now`: by the server's clock; that of this machine may be wrong.
    """
    jobs = {job.run_id: job async for job in _listed(client, now)}
    await asyncio.sleep(LISTING_PAUSE_SECONDS)
    jobs |= {job.run_id: job async for job in _listed(client, now)}
    at_once = asyncio.Semaphore(AT_ONCE)

    async def look(job: WorkflowExecution) -> Seen | None:
        async with at_once:
            return await look_at(client, job, gate=gate)

    return [item for item in await asyncio.gather(*map(look, jobs.values())) if item]


async def _listed(client: Client, now: datetime) -> AsyncIterator[WorkflowExecution]:
    since = (now - RECENT).strftime("%Y-%m-%dT%H:%M:%SZ")
    for condition in (OPEN, f"{KILLED} AND CloseTime > '{since}'"):
        query = f"WorkflowType = '{JOBS}' AND {condition}"
        async for job in client.list_workflows(query):
            yield job


async def look_at(client: Client, job: WorkflowExecution, *, gate: Gate) -> Seen | None:
    """One job by its history; None where it is gone, or was made by hand and can't be read."""
    handle = client.get_workflow_handle(job.id, run_id=job.run_id)
    seen: Seen | None = None
    try:
        async for event in handle.fetch_history_events():
            if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED:
                seen = await _started(client, job, event=event, gate=gate)
            elif event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED and seen:
                seen = await _signalled(client, seen, event=event, gate=gate)
            elif event.event_type == SAID and seen:
                seen = await _said(client, seen, event=event, gate=gate)
    except RPCError as error:
        if not is_gone(error):
            raise
        return None
    return seen


async def _started(
    client: Client, job: WorkflowExecution, *, event: HistoryEvent, gate: Gate
) -> Seen | None:
    payloads = event.workflow_execution_started_event_attributes.input
    job_input = await read_one(client.data_converter, payloads, object)
    fields = job_input if isinstance(job_input, dict) else getattr(job_input, "__dict__", {})
    if "prompt" not in fields:
        return None
    priority = fields.get("priority", DEFAULT_PRIORITY)
    wanted = {
        "job_id": job.id,
        "run_id": job.run_id,
        "priority": priority,
        "requested_at": job.start_time,
    }
    if not (requests := fitting_requests([wanted])):
        return None
    [request] = requests
    status = job.status or WorkflowExecutionStatus.RUNNING
    # Every job wants the slot from its beginning; a stage's gate it asks for by a signal.
    return Seen(request=request, status=status, asking=gate is JOB_GATE)


async def _signalled(client: Client, seen: Seen, *, event: HistoryEvent, gate: Gate) -> Seen:
    """What one signal tells; a permit for another run (before a reset) doesn't count."""
    signal = event.workflow_execution_signaled_event_attributes
    if signal.signal_name != GRANTED_SIGNAL:
        return seen
    permit = await read_one(client.data_converter, signal.input, Permit)
    if permit is None or (permit.run_id, permit.gate) != (seen.request.run_id, gate):
        return seen
    return seen.model_copy(update={"permit": permit})


async def _said(client: Client, seen: Seen, *, event: HistoryEvent, gate: Gate) -> Seen:
    """What the job told this gate's semaphore, whether that heard it or not."""
    said = event.signal_external_workflow_execution_initiated_event_attributes
    if said.workflow_execution.workflow_id != semaphore_id(gate):
        return seen
    if said.signal_name == REQUEST_SIGNAL:
        return seen.model_copy(update={"asking": True})
    if said.signal_name == WITHDRAW_SIGNAL:
        return seen.model_copy(update={"asking": False})
    if said.signal_name != RELEASE_SIGNAL:
        return seen
    release = await read_one(client.data_converter, said.input, Release)
    if release is None:
        return seen
    return seen.model_copy(update={"asking": False, "released": release.token})


async def merged(client: Client, seen: list[Seen], before: Predecessor, *, now: datetime) -> Found:
    """Who holds and who waits; `now`: by the server's clock.

    The semaphore knows of permits that were not signalled yet, of drains that ended, and of who
    asked just now; the jobs know what was signalled, also if its history has been deleted. A killed
    run counts as cleared only where the end of its own drain is seen.
    """
    jobs = {item.request.run_id: item for item in seen}
    told = [*before.permits, *(item.permit for item in seen if item.permit)]
    permits = _latest([permit for permit in told if not _is_given_back(permit, jobs)])
    holders = [
        await _holder(client, permit, jobs.get(permit.run_id), now=now)
        for permit in permits.values()
        if permit.run_id not in before.cleared
    ]
    asking = {item.request.run_id: item.request for item in seen if item.open and item.asking}
    asked = {request.run_id: request for request in before.waiting if request.run_id not in jobs}
    waiting = [each for each in (asked | asking).values() if each.run_id not in permits]
    return Found(
        settings=before.settings,
        holders=tuple(holder for holder in holders if holder is not None),
        waiting=tuple(waiting),
        remembered=before.known,
    )


def _is_given_back(permit: Permit, jobs: dict[str, Seen]) -> bool:
    """Whether its run gave it back, also where the last semaphore never heard of it."""
    job = jobs.get(permit.run_id)
    return job is not None and permit.token <= job.released


def _latest(permits: list[Permit]) -> dict[str, Permit]:
    """By run, the permit of the highest token."""
    return {permit.run_id: permit for permit in sorted(permits, key=lambda p: p.token)}


async def _holder(
    client: Client, permit: Permit, job: Seen | None, *, now: datetime
) -> Holder | None:
    """Who holds by a permit; it is signalled again, in case its run missed it.

    A run that was killed, or that is unknown, counts as a holder: its watch finds out how it
    closed, and its leftovers are cleared. One that has ended in order is out.
    """
    listed_as_killed = job is not None and not job.open
    if not listed_as_killed and await closed_by_now(client, permit.run) is Closed.ORDERLY:
        return None
    unknown = SlotRequest(job_id=permit.job_id, run_id=permit.run_id, requested_at=now)
    return Holder(request=job.request if job else unknown, token=permit.token, since=now)
