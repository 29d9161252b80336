"""What a semaphore that was ended from outside left: settings, permits still out, who waited."""

from collections.abc import AsyncIterator, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import NamedTuple, TypeVar

from temporalio.api.common.v1 import Payloads
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client, WorkflowExecution
from temporalio.converter import DataConverter

from services.semaphore.deterministic.permits import permit_of
from services.semaphore.models import (
    FIND_JOBS,
    RUN_CLOSED_UPDATE,
    WATCH_RUN,
    Ended,
    Found,
    SemaphoreState,
    Watch,
)
from services.semaphore.rebuilding.payloads import read_one
from shared.slot.messages import (
    ACQUIRE_UPDATE,
    DRAIN_ACTIVITY,
    GRANTED_SIGNAL,
    JOB_GATE,
    LONGEST_HOLD_SECONDS,
    RELEASE_SIGNAL,
    REQUEST_SIGNAL,
    WITHDRAW_SIGNAL,
    Acquire,
    Drain,
    Gate,
    Holder,
    Permit,
    Release,
    RunRef,
    SemaphoreSettings,
    SlotRequest,
    semaphore_id,
)

T = TypeVar("T")


class Predecessor(NamedTuple):
    """The last run before ours; without one, the defaults, which are the safest."""

    known: bool = False
    settings: SemaphoreSettings = SemaphoreSettings()
    permits: tuple[Permit, ...] = ()
    waiting: tuple[SlotRequest, ...] = ()
    ends: Mapping[str, datetime] = MappingProxyType({})


async def find_predecessor(client: Client, run_id: str, *, gate: Gate) -> Predecessor:
    """Limit and pause from the memo, the rest from the history, of the run before `run_id`.

    A permit is out until its holder's run has closed in an orderly way, or has been cleared
    after another: what was being cleared when the semaphore was ended must be cleared again.
    A run that was ended while it rebuilt knew nothing, and one that was reset only what was so
    once; the one before it knows.
    """
    for run in await _runs_before(client, run_id, gate=gate):
        handle = client.get_workflow_handle(run.id, run_id=run.run_id)
        book = SemaphoreBook(client.data_converter, gate)
        await book.read(handle.fetch_history_events())
        if book.known and book.run_id == run.run_id:
            memo = await (await handle.describe()).memo()
            settings = SemaphoreSettings.model_validate(memo.get("settings", {}))
            permits, waiting = tuple(book.out.values()), tuple(book.waiting.values())
            return Predecessor(True, settings, permits, waiting, book.ends)
    return Predecessor()


async def _runs_before(client: Client, run_id: str, *, gate: Gate) -> list[WorkflowExecution]:
    """Latest first. Whether a run is closed isn't asked for: the listing may learn that late."""
    listed = client.list_workflows(f"WorkflowId = '{semaphore_id(gate)}'")
    runs = [run async for run in listed if run.run_id != run_id]
    return sorted(runs, key=lambda run: run.start_time, reverse=True)


class SemaphoreBook:
    """Reads a semaphore's history; `out` holds, by run, the permits that were never free again.

    `ends`: by run, when a holder has outlived its limit. `waiting`: by run, who asked and waits.
    `known`: the run was told who holds, by the run before it or by its own rebuild. `run_id`: the
    run that its beginning was written for, another one than the run's own after a reset.
    """

    def __init__(self, converter: DataConverter, gate: Gate = JOB_GATE) -> None:
        self.out: dict[str, Permit] = {}
        self.ends: dict[str, datetime] = {}
        self.waiting: dict[str, SlotRequest] = {}
        self.known = False
        self.run_id = ""
        self._converter = converter
        self._gate = gate
        self._holds: dict[str, timedelta] = {}
        self._watches: dict[int, str] = {}
        self._drains: dict[int, str] = {}
        self._rebuilds: set[int] = set()

    async def read(self, events: AsyncIterator[HistoryEvent]) -> None:
        """Take in a history from its beginning."""
        async for event in events:
            match event.event_type:
                case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED:
                    await self._started(event)
                case EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
                    await self._scheduled(event)
                case EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
                    await self._completed(event)
                case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED:
                    await self._signalled(event)
                case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED:
                    await self._asked(event)
                case EventType.EVENT_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED:
                    await self._granted(event)

    async def _started(self, event: HistoryEvent) -> None:
        started = event.workflow_execution_started_event_attributes
        self.run_id = started.original_execution_run_id
        if state := await self._read(started.input, SemaphoreState):
            self._learn(state.holders, state.waiting)

    def _learn(self, holders: tuple[Holder, ...], waiting: tuple[SlotRequest, ...]) -> None:
        self.known = True
        self._wait(waiting)
        for holder in holders:
            self._told(permit_of(holder, gate=self._gate), holder.ends_at)

    def _wait(self, requests: Iterable[SlotRequest]) -> None:
        self.waiting |= {each.run_id: each for each in requests if each.run_id not in self.out}

    def _told(self, permit: Permit, ends_at: datetime) -> None:
        self.ends[permit.run_id] = ends_at
        self.waiting.pop(permit.run_id, None)
        self.out[permit.run_id] = permit

    async def _scheduled(self, event: HistoryEvent) -> None:
        task = event.activity_task_scheduled_event_attributes
        name = task.activity_type.name
        if name == FIND_JOBS:
            self._rebuilds.add(event.event_id)
        elif name == DRAIN_ACTIVITY and (drain := await self._read(task.input, Drain)):
            self._drains[event.event_id] = drain.run_id
        elif name == WATCH_RUN and (watch := await self._read(task.input, Watch)):
            self._watches[event.event_id] = watch.run.run_id

    async def _signalled(self, event: HistoryEvent) -> None:
        signal = event.workflow_execution_signaled_event_attributes
        match signal.signal_name:
            case name if name == REQUEST_SIGNAL:
                self._wait(await self._read(signal.input, list[SlotRequest]) or ())
            case name if name == WITHDRAW_SIGNAL:
                self.waiting.pop(await self._read(signal.input, str) or "", None)
            case name if name == RELEASE_SIGNAL:
                self._returned(await self._read(signal.input, Release))

    def _returned(self, release: Release | None) -> None:
        permit = self.out.get(release.run_id) if release else None
        if release and permit and permit.token == release.token:
            del self.out[release.run_id]

    async def _asked(self, event: HistoryEvent) -> None:
        update = event.workflow_execution_update_accepted_event_attributes
        asked = update.accepted_request.input
        if asked.name == ACQUIRE_UPDATE and (ask := await self._read(asked.args, Acquire)):
            self._wait([ask.request])
            self._holds[ask.request.run_id] = timedelta(seconds=ask.holds_seconds)
        elif asked.name == RUN_CLOSED_UPDATE and (run := await self._read(asked.args, RunRef)):
            self._closed(run.run_id)

    async def _granted(self, event: HistoryEvent) -> None:
        """The permit is sent in the very step that answers for it."""
        signal = event.signal_external_workflow_execution_initiated_event_attributes
        if signal.signal_name != GRANTED_SIGNAL:
            return
        if permit := await self._read(signal.input, Permit):
            known = self._holds.get(permit.run_id, timedelta(seconds=LONGEST_HOLD_SECONDS))
            self._told(permit, event.event_time.ToDatetime(UTC) + known)

    async def _completed(self, event: HistoryEvent) -> None:
        task = event.activity_task_completed_event_attributes
        number = task.scheduled_event_id
        if number in self._rebuilds:
            if found := await self._read(task.result, Found):
                self._learn(found.holders, found.waiting)
        elif number in self._drains:
            self.out.pop(self._drains[number], None)
        elif run_id := self._watches.get(number):
            ended = await self._read(task.result, Ended)
            if ended is not None and ended.is_clear:
                self._closed(run_id)
            else:
                self.waiting.pop(run_id, None)

    def _closed(self, run_id: str) -> None:
        self.waiting.pop(run_id, None)
        self.out.pop(run_id, None)

    async def _read(self, payloads: Payloads, kind: type[T]) -> T | None:
        return await read_one(self._converter, payloads, kind)
