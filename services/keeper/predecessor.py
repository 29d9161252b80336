"""What a keeper that was ended from outside left: its settings, and every permit still out."""

from collections.abc import AsyncIterator
from typing import NamedTuple, TypeVar

from temporalio.api.common.v1 import Payloads
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client, WorkflowExecution
from temporalio.converter import DataConverter

from services.keeper.models import FIND_JOBS, GRANT_AND_WATCH, Ended, Found, KeeperState, Watch
from services.keeper.payloads import read_one
from services.keeper.places import permit_of
from shared.slots import (
    DRAIN_ACTIVITY,
    GRANTED_SIGNAL,
    JOB_GATE,
    RELEASE_SIGNAL,
    Armed,
    Drain,
    Gate,
    Holder,
    KeeperSettings,
    Permit,
    Release,
    keeper_id,
)

T = TypeVar("T")


class Predecessor(NamedTuple):
    """The last run before ours; without one, the defaults, which are the safest."""

    known: bool = False
    settings: KeeperSettings = KeeperSettings()
    permits: tuple[Permit, ...] = ()


async def find_predecessor(client: Client, run_id: str, *, gate: Gate) -> Predecessor:
    """Limit and pause from the memo, permits from the history, of the run before `run_id`.

    A permit is out until its holder's run has closed in an orderly way, or has been cleared
    after another: what was being cleared when the keeper was ended must be cleared again.
    A run that was ended while it rebuilt knew nothing; the one before it did.
    """
    for run in await _runs_before(client, run_id, gate=gate):
        handle = client.get_workflow_handle(run.id, run_id=run.run_id)
        permits = Permits(client.data_converter, gate)
        await permits.read(handle.fetch_history_events())
        if permits.known:
            memo = await (await handle.describe()).memo()
            settings = KeeperSettings.model_validate(memo.get("settings", {}))
            return Predecessor(True, settings, tuple(permits.out.values()))
    return Predecessor()


async def _runs_before(client: Client, run_id: str, *, gate: Gate) -> list[WorkflowExecution]:
    """Latest first. Whether a run is closed isn't asked for: the listing may learn that late."""
    listed = client.list_workflows(f"WorkflowId = '{keeper_id(gate)}'")
    runs = [run async for run in listed if run.run_id != run_id]
    return sorted(runs, key=lambda run: run.start_time, reverse=True)


class Permits:
    """Reads a keeper's history; `out` holds, by run, the permits that were never free again.

    `known`: the run was told who holds, by the run before it or by its own rebuild.
    """

    def __init__(self, converter: DataConverter, gate: Gate = JOB_GATE) -> None:
        self.out: dict[str, Permit] = {}
        self.known = False
        self._converter = converter
        self._gate = gate
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
                case EventType.EVENT_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED:
                    await self._told_again(event)

    async def _started(self, event: HistoryEvent) -> None:
        payloads = event.workflow_execution_started_event_attributes.input
        if state := await self._read(payloads, KeeperState):
            self._learn(state.holders, state.armed)

    def _learn(self, holders: tuple[Holder, ...], armed: tuple[Armed, ...]) -> None:
        self.known = True
        for holder in holders:
            self._told(permit_of(holder, None, gate=self._gate))
        for item in armed:
            self._told(permit_of(item.holder, item.behind, gate=self._gate))

    def _told(self, permit: Permit) -> None:
        self.out[permit.run_id] = permit

    async def _scheduled(self, event: HistoryEvent) -> None:
        task = event.activity_task_scheduled_event_attributes
        name = task.activity_type.name
        if name == FIND_JOBS:
            self._rebuilds.add(event.event_id)
        elif name == DRAIN_ACTIVITY and (drain := await self._read(task.input, Drain)):
            self._drains[event.event_id] = drain.run_id
        elif name == GRANT_AND_WATCH and (watch := await self._read(task.input, Watch)):
            self._watches[event.event_id] = watch.permit.run_id
            self._told(watch.permit)

    async def _signalled(self, event: HistoryEvent) -> None:
        signal = event.workflow_execution_signaled_event_attributes
        if signal.signal_name != RELEASE_SIGNAL:
            return
        release = await self._read(signal.input, Release)
        permit = self.out.get(release.run_id) if release else None
        if release and permit and permit.token == release.token:
            del self.out[release.run_id]

    async def _told_again(self, event: HistoryEvent) -> None:
        signal = event.signal_external_workflow_execution_initiated_event_attributes
        permit = await self._read(signal.input, Permit)
        if signal.signal_name == GRANTED_SIGNAL and permit is not None:
            self._told(permit)

    async def _completed(self, event: HistoryEvent) -> None:
        task = event.activity_task_completed_event_attributes
        number = task.scheduled_event_id
        if number in self._rebuilds:
            if found := await self._read(task.result, Found):
                self._learn(found.holders, found.armed)
        elif number in self._drains:
            self.out.pop(self._drains[number], None)
        elif run_id := self._watches.get(number):
            ended = await self._read(task.result, Ended)
            if ended is not None and ended.is_clear:
                self.out.pop(run_id, None)

    async def _read(self, payloads: Payloads, kind: type[T]) -> T | None:
        return await read_one(self._converter, payloads, kind)
