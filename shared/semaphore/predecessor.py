"""The state that earlier runs of the semaphore left: settings, open permits, waiters."""

from collections.abc import AsyncIterator, Iterable
from typing import NamedTuple, TypeVar

from pydantic import ValidationError
from temporalio.api.common.v1 import Payloads
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client, WorkflowExecution
from temporalio.converter import DataConverter
from temporalio.service import RPCError

from .messages import (
    FREE_UPDATE,
    RELEASE_SIGNAL,
    REQUEST_SIGNAL,
    WITHDRAW_SIGNAL,
    Drain,
    Drained,
    Holder,
    OpenRecords,
    Release,
    SemaphoreSettings,
    SlotFree,
    SlotRequest,
    semaphore_id,
    valid_requests,
)
from .server import is_gone, read_one
from .state import FIND_JOBS, WATCH_RUN, Ended, Found, SemaphoreState, Watch

T = TypeVar("T")
# A drain that ended before these runs is repeated, which is harmless.
MOST_RUNS = 10


class Predecessor(NamedTuple):
    """The last run with a state; without one, the defaults, which are the safest.

    `recalls`: open records may name runs that Temporal has forgotten. `cleared`: the runs whose
    drain has ended, in that run or earlier ones.
    """

    known: bool = False
    settings: SemaphoreSettings = SemaphoreSettings()
    holders: tuple[Holder, ...] = ()
    waiting: tuple[SlotRequest, ...] = ()
    cleared: frozenset[str] = frozenset()
    recalls: bool = False


async def find_predecessor(client: Client, run_id: str, *, name: str, recalls: bool) -> Predecessor:
    """Read limit and pause from the memo, and the rest from the histories, of the runs before
    `run_id`.

    Skip a run that was ended while it rebuilt, because it had no state, and a run that was reset,
    because its state is out of date.
    """
    found, cleared = Predecessor(), set[str]()
    for run in (await _runs_before(client, run_id, name=name))[:MOST_RUNS]:
        handle = client.get_workflow_handle(run.id, run_id=run.run_id)
        book = SemaphoreBook(client.data_converter, recalls=recalls)
        try:
            await book.read(handle.fetch_history_events())
            memo = await (await handle.describe()).memo()
        except RPCError as error:
            if not is_gone(error):
                raise
            continue
        if book.run_id != run.run_id:
            continue
        cleared |= book.cleared
        if book.known and not found.known:
            # A run that failed right after its rebuild has written no memo.
            settings = _settings(memo.get("settings", book.settings))
            holders, waiting = tuple(book.out.values()), tuple(book.waiting.values())
            found = Predecessor(True, settings, holders, waiting)
    return found._replace(cleared=frozenset(cleared), recalls=recalls)


def _settings(value: object) -> SemaphoreSettings:
    """Return the settings of a memo, or the defaults if an operator wrote something invalid."""
    try:
        return SemaphoreSettings.model_validate(value)
    except ValidationError:
        return SemaphoreSettings()


async def _runs_before(client: Client, run_id: str, *, name: str) -> list[WorkflowExecution]:
    """Return the runs, latest first. Their status isn't read, because the listing may be late."""
    listed = client.list_workflows(f"WorkflowId = '{semaphore_id(name)}'")
    runs = [run async for run in listed if run.run_id != run_id]
    return sorted(runs, key=lambda run: run.start_time, reverse=True)


class SemaphoreBook:
    """Reads a semaphore's history.

    `out`: the holders whose place was never freed, by run. `waiting`: the waiters, by run.
    `cleared`: the runs whose drain ended. `known`: the run got its holders from its predecessor or
    from a complete rebuild; `settings`: those that it got. `run_id`: the run that its beginning was
    written for; after a reset another one than the run's own.
    """

    def __init__(self, converter: DataConverter, *, recalls: bool = False) -> None:
        self.out: dict[str, Holder] = {}
        self.waiting: dict[str, SlotRequest] = {}
        self.cleared: set[str] = set()
        self.known = False
        self.settings = SemaphoreSettings()
        self.run_id = ""
        self._converter = converter
        self._recalls = recalls
        # By the number of the event in which each began.
        self._watches: dict[int, str] = {}
        self._drains: dict[int, str] = {}
        self._frees: dict[int, str] = {}
        self._rebuilds: set[int] = set()
        self._records: set[int] = set()
        # The result of a rebuild without predecessor, until the open records are read.
        self._unsure: Found | None = None

    async def read(self, events: AsyncIterator[HistoryEvent]) -> None:
        """Read a history from its beginning."""
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
                    await self._update_accepted(event)
                case EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_COMPLETED:
                    self._update_completed(event)

    async def _started(self, event: HistoryEvent) -> None:
        started = event.workflow_execution_started_event_attributes
        self.run_id = started.original_execution_run_id
        state = await self._read(started.input, SemaphoreState)
        if state is not None and not state.is_new:
            self._learn(state)

    def _learn(self, state: SemaphoreState | Found) -> None:
        self.known = True
        self.settings = state.settings or self.settings
        self._wait(state.waiting)
        for holder in state.holders:
            self._granted(holder)

    def _wait(self, requests: Iterable[SlotRequest]) -> None:
        self.waiting |= {each.run_id: each for each in requests if each.run_id not in self.out}

    def _granted(self, holder: Holder) -> None:
        self.waiting.pop(holder.run.run_id, None)
        self.out[holder.run.run_id] = holder

    def _cleared(self, run_id: str) -> None:
        self.cleared.add(run_id)
        self.out.pop(run_id, None)

    async def _scheduled(self, event: HistoryEvent) -> None:
        """Count a permit as open once the activity that signals it is scheduled."""
        task = event.activity_task_scheduled_event_attributes
        name = task.activity_type.name
        if name == FIND_JOBS:
            self._rebuilds.add(event.event_id)
        elif name == WATCH_RUN and (watch := await self._read(task.input, Watch)):
            self._watches[event.event_id] = watch.run.run_id
            self._granted(watch.holder)
        elif drain := await self._read(task.input, Drain):
            # A user's clean-up activity can have any name.
            self._drains[event.event_id] = drain.run_id
        elif self._unsure is not None:
            self._records.add(event.event_id)

    async def _signalled(self, event: HistoryEvent) -> None:
        signal = event.workflow_execution_signaled_event_attributes
        match signal.signal_name:
            case name if name == REQUEST_SIGNAL:
                self._wait(valid_requests(await self._read(signal.input, list[object]) or []))
            case name if name == WITHDRAW_SIGNAL:
                self.waiting.pop(await self._read(signal.input, str) or "", None)
            case name if name == RELEASE_SIGNAL:
                self._returned(await self._read(signal.input, Release))

    def _returned(self, release: Release | None) -> None:
        holder = self.out.get(release.run_id) if release else None
        if release and holder and holder.token == release.token:
            del self.out[release.run_id]

    async def _update_accepted(self, event: HistoryEvent) -> None:
        asked = event.workflow_execution_update_accepted_event_attributes.accepted_request.input
        if asked.name == FREE_UPDATE and (free := await self._read(asked.args, SlotFree)):
            self._frees[event.event_id] = free.run_id

    def _update_completed(self, event: HistoryEvent) -> None:
        update = event.workflow_execution_update_completed_event_attributes
        freed = self._frees.get(update.accepted_event_id)
        if freed is not None and update.outcome.HasField("success"):
            self._cleared(freed)

    async def _completed(self, event: HistoryEvent) -> None:
        task = event.activity_task_completed_event_attributes
        number = task.scheduled_event_id
        if number in self._rebuilds:
            if found := await self._read(task.result, Found):
                if found.remembered or not self._recalls:
                    self._learn(found)
                else:
                    self._unsure = found
        elif number in self._records:
            records = await self._read(task.result, OpenRecords)
            if self._unsure is not None and records is not None:
                self._learn(self._unsure)
                self._unsure = None
        elif run_id := self._drains.get(number):
            if await self._read(task.result, Drained):
                self._cleared(run_id)
        elif run_id := self._watches.get(number):
            ended = await self._read(task.result, Ended)
            if ended is not None and ended.is_clear:
                self.out.pop(run_id, None)

    async def _read(self, payloads: Payloads, kind: type[T]) -> T | None:
        return await read_one(self._converter, payloads, kind)
