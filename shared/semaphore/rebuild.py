"""Find holders and waiters by Temporal's data, without relying on a live worker or on one listing.

Two sources are merged: the histories of the runs that carry the semaphore's mark, and those of the
semaphore's earlier runs.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pydantic import ValidationError
from temporalio.api.common.v1 import Payloads
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client, WorkflowExecution, WorkflowExecutionStatus
from temporalio.converter import DataConverter
from temporalio.service import RPCError

from .messages import (
    ASK_ACTIVITY,
    FREE_UPDATE,
    MEMO,
    RELEASE_SIGNAL,
    REQUEST_SIGNAL,
    WITHDRAW_SIGNAL,
    Ask,
    Drain,
    Drained,
    Holder,
    Mark,
    Message,
    Permit,
    Release,
    SemaphoreSettings,
    SlotFree,
    SlotRequest,
    granted_signal,
    semaphore_id,
    valid_requests,
)
from .server import is_gone, read_one
from .state import FIND_JOBS, MEMO_SETTINGS, WATCH_RUN, Ended, Found, SemaphoreState, Watch

# The listing is eventually consistent, so the first one may lack runs that just started.
LISTING_PAUSE_SECONDS = 1.0
AT_ONCE = 20
# A run that was killed so recently, while no semaphore watched, may have left something running.
RECENT = timedelta(hours=1)
OPEN = "ExecutionStatus = 'Running'"
KILLED = "ExecutionStatus IN ('Terminated', 'TimedOut')"
# A drain that ended before so many of the semaphore's runs is repeated, which is harmless.
MOST_RUNS = 10


async def find(client: Client, name: str, *, run_id: str, now: datetime) -> Found:
    """Return the state for the semaphore's new run `run_id`.

    The semaphore's history has the permits that were not signalled yet, the drains that ended, and
    recent requests. The runs' histories have the signalled permits, even if the semaphore's history
    is deleted. A killed run counts as cleared only if the end of its own drain is seen. `now` is by
    the server's clock, because this machine's clock may be wrong.
    """
    before, cleared = await find_predecessor(client, name, run_id)
    runs = {each.request.run_id: each for each in await find_jobs(client, name, now=now)}
    known = [
        Holder(request=each.request, token=each.permit.token, since=now)
        for each in runs.values()
        if each.permit
    ]
    if before is not None:
        # The semaphore's own note of a holder comes last, and the later one wins.
        anew = {"drain": None, "drains_since": None, "drains_until": None}
        known += [each.model_copy(update=anew) for each in before.out.values()]
    held = {
        each.run.run_id: each
        for each in sorted(known, key=lambda each: each.token)
        # Its run may have given it back without any semaphore hearing of it.
        if each.run.run_id not in runs or each.token > runs[each.run.run_id].released
    }
    asked = before.waiting if before is not None else {}
    waiting = {run_id: request for run_id, request in asked.items() if run_id not in runs}
    waiting |= {each.request.run_id: each.request for each in runs.values() if each.waits}
    # Milliseconds since 1970 are above every token that an earlier semaphore can have given.
    floor = int(now.timestamp() * 1000)
    return Found(
        is_new=before is None,
        settings=before.settings if before is not None else SemaphoreSettings(),
        next_token=max([floor, *(each.token + 1 for each in held.values())]),
        # The watch of each finds out whether it is open; its permit is signalled again.
        holders=tuple(each for run_id, each in held.items() if run_id not in cleared),
        waiting=tuple(each for each in waiting.values() if each.run_id not in held),
    )


@dataclass
class Seen:
    """A run by its history: its request and its last permit.

    `asks`: it wants a place. `released`: the last token that it returned.
    """

    request: SlotRequest
    open: bool
    asks: bool
    permit: Permit | None = None
    released: int = -1

    @property
    def waits(self) -> bool:
        """True if it is open and wants a place."""
        return self.open and self.asks


async def find_jobs(client: Client, name: str, *, now: datetime) -> list[Seen]:
    """Return all open runs with the mark of this semaphore, and the recently killed ones."""
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
    converter = client.data_converter
    marked = Payloads(payloads=[job.raw_info.memo.fields[f"{MEMO}{name}"]])
    if (mark := await read_one(converter, marked, Mark)) is None:
        return None
    asked_at = mark.requested_at or job.start_time
    wanted = {**dict(mark), "job_id": job.id, "run_id": job.run_id, "requested_at": asked_at}
    if not (requests := valid_requests([wanted])):
        return None
    is_open = job.status in (None, WorkflowExecutionStatus.RUNNING)
    # A run that was started with its mark requests from its beginning.
    seen = Seen(requests[0], is_open, asks=mark.run_id in (None, job.run_id))
    handle = client.get_workflow_handle(job.id, run_id=job.run_id)
    try:
        async for event in handle.fetch_history_events():
            await _apply(converter, seen, event, name)
    except RPCError as error:
        if not is_gone(error):
            raise
        return None
    return seen


async def _apply(converter: DataConverter, seen: Seen, event: HistoryEvent, name: str) -> None:
    """Apply a permit, a request, or a signal to the semaphore, whether it arrived or not.

    A permit or a request of another run is from before a reset.
    """
    run_id = seen.request.run_id
    granted = event.workflow_execution_signaled_event_attributes
    said = event.signal_external_workflow_execution_initiated_event_attributes
    task = event.activity_task_scheduled_event_attributes
    if granted.signal_name == granted_signal(name):
        permit = await read_one(converter, granted.input, Permit)
        if permit is not None and (permit.run_id, permit.name) == (run_id, name):
            seen.permit = permit
    elif task.activity_type.name == ASK_ACTIVITY:
        asked = await read_one(converter, task.input, Ask)
        if asked is not None and (asked.request.run_id, asked.name) == (run_id, name):
            seen.request, seen.asks = asked.request, True
    elif said.workflow_execution.workflow_id == semaphore_id(name):
        if said.signal_name == WITHDRAW_SIGNAL:
            seen.asks = False
        elif said.signal_name == RELEASE_SIGNAL and (
            release := await read_one(converter, said.input, Release)
        ):
            seen.asks, seen.released = False, release.token


async def find_predecessor(
    client: Client, name: str, run_id: str
) -> "tuple[SemaphoreBook | None, set[str]]":
    """Read the semaphore's runs before `run_id`: return the last one that knew its holders, and
    the runs whose drain has ended.

    Skip a run that was ended while it rebuilt, because it had no state, and a run that was reset,
    because its state is out of date.
    """
    listed = client.list_workflows(f"WorkflowId = '{semaphore_id(name)}'")
    runs = [run async for run in listed if run.run_id != run_id]
    # Their status isn't read, because the listing may be late.
    runs.sort(key=lambda run: run.start_time, reverse=True)
    found, cleared = None, set[str]()
    for run in runs[:MOST_RUNS]:
        handle = client.get_workflow_handle(run.id, run_id=run.run_id)
        book = SemaphoreBook(client.data_converter)
        try:
            async for event in handle.fetch_history_events():
                await book.read(event)
            memo = await (await handle.describe()).memo()
        except RPCError as error:
            if not is_gone(error):
                raise
            continue
        if book.run_id != run.run_id:
            continue
        cleared |= book.cleared
        if MEMO_SETTINGS in memo and found is None:
            found = book
            try:
                book.settings = SemaphoreSettings.model_validate(memo[MEMO_SETTINGS])
            except ValidationError:
                # An operator wrote something invalid: the defaults are the safest.
                book.settings = SemaphoreSettings()
    return found, cleared


@dataclass
class SemaphoreBook:
    """The content of a semaphore's history.

    `out`: the holders whose place was never freed, by run. `waiting`: the waiters, by run.
    `cleared`: the runs whose drain ended. `run_id`: the run that its beginning was written for;
    after a reset another one than the run's own.
    """

    converter: DataConverter
    settings: SemaphoreSettings = field(default_factory=SemaphoreSettings)
    out: dict[str, Holder] = field(default_factory=dict)
    waiting: dict[str, SlotRequest] = field(default_factory=dict)
    cleared: set[str] = field(default_factory=set)
    run_id: str = ""
    # By the event in which an activity began: the kind of its result, and the run.
    begun: dict[int, tuple[type[Message], str]] = field(default_factory=dict)

    async def read(self, event: HistoryEvent) -> None:
        """Read the next event."""
        match event.event_type:
            case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED:
                started = event.workflow_execution_started_event_attributes
                self.run_id = started.original_execution_run_id
                if state := await read_one(self.converter, started.input, SemaphoreState):
                    self._learn(state.holders, state.waiting)
            case EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
                await self._scheduled(event)
            case EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
                await self._completed(event)
            case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED:
                await self._signalled(event)
            case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED:
                update = event.workflow_execution_update_accepted_event_attributes
                asked = update.accepted_request.input
                if asked.name == FREE_UPDATE and (
                    free := await read_one(self.converter, asked.args, SlotFree)
                ):
                    self._cleared(free.run_id)

    def _learn(self, holders: Iterable[Holder], requests: Iterable[SlotRequest]) -> None:
        for holder in holders:
            self.out[holder.run.run_id] = holder
            self.waiting.pop(holder.run.run_id, None)
        self.waiting |= {each.run_id: each for each in requests if each.run_id not in self.out}

    def _cleared(self, run_id: str) -> None:
        self.cleared.add(run_id)
        self.out.pop(run_id, None)

    async def _scheduled(self, event: HistoryEvent) -> None:
        """Count a permit as open once the activity that signals it is scheduled."""
        task = event.activity_task_scheduled_event_attributes
        if task.activity_type.name == FIND_JOBS:
            self.begun[event.event_id] = Found, ""
        elif task.activity_type.name == WATCH_RUN:
            if watch := await read_one(self.converter, task.input, Watch):
                self.begun[event.event_id] = Ended, watch.run.run_id
                self._learn([watch.holder], [])
        elif drain := await read_one(self.converter, task.input, Drain):
            # A user's clean-up activity can have any name.
            self.begun[event.event_id] = Drained, drain.run_id

    async def _completed(self, event: HistoryEvent) -> None:
        task = event.activity_task_completed_event_attributes
        if task.scheduled_event_id not in self.begun:
            return
        kind, run_id = self.begun[task.scheduled_event_id]
        match await read_one(self.converter, task.result, kind):
            case Found() as found:
                self._learn(found.holders, found.waiting)
            case Ended() as ended if ended.is_clear:
                self.out.pop(run_id, None)
            case Drained():
                self._cleared(run_id)

    async def _signalled(self, event: HistoryEvent) -> None:
        signal = event.workflow_execution_signaled_event_attributes
        if signal.signal_name == REQUEST_SIGNAL:
            requests = await read_one(self.converter, signal.input, list[object])
            self._learn([], valid_requests(requests or []))
        elif signal.signal_name == WITHDRAW_SIGNAL:
            self.waiting.pop(await read_one(self.converter, signal.input, str) or "", None)
        elif signal.signal_name == RELEASE_SIGNAL and (
            release := await read_one(self.converter, signal.input, Release)
        ):
            holder = self.out.get(release.run_id)
            if holder is not None and holder.token == release.token:
                del self.out[release.run_id]
