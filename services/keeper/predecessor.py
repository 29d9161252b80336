"""What a keeper that was ended from outside left: its settings, and every permit still out."""

from collections.abc import AsyncIterator
from datetime import UTC
from typing import NamedTuple, TypeVar

from temporalio.api.common.v1 import Payloads
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client, WorkflowExecution
from temporalio.converter import DataConverter

from services.keeper.models import FIND_JOBS, GRANT_AND_WATCH, Closed, Found, KeeperState, Watch
from services.keeper.payloads import read_one
from shared.slots import (
    DRAIN_ACTIVITY,
    JOB_GATE,
    Drain,
    Holder,
    KeeperSettings,
    Permit,
    keeper_id,
)

T = TypeVar("T")


class Predecessor(NamedTuple):
    """The last run before ours; without one, the defaults, which are the safest."""

    settings: KeeperSettings = KeeperSettings()
    holders: tuple[Holder, ...] = ()


async def find_predecessor(client: Client, run_id: str) -> Predecessor:
    """Limit and pause from the memo, permits from the history, of the run before `run_id`.

    A permit is out until its holder's run has closed in an orderly way, or has been cleared
    after another: what was being cleared when the keeper was ended must be cleared again.
    A run that was ended while it rebuilt knew nothing; the one before it did.
    """
    for run in await _runs_before(client, run_id):
        handle = client.get_workflow_handle(run.id, run_id=run.run_id)
        permits = Permits(client.data_converter)
        await permits.read(handle.fetch_history_events())
        if permits.known:
            memo = await (await handle.describe()).memo()
            settings = KeeperSettings.model_validate(memo.get("settings", {}))
            return Predecessor(settings, tuple(permits.out.values()))
    return Predecessor()


async def _runs_before(client: Client, run_id: str) -> list[WorkflowExecution]:
    """Latest first. Whether a run is closed isn't asked for: the listing may learn that late."""
    listed = client.list_workflows(f"WorkflowId = '{keeper_id(JOB_GATE)}'")
    runs = [run async for run in listed if run.run_id != run_id]
    return sorted(runs, key=lambda run: run.start_time, reverse=True)


class Permits:
    """Reads a keeper's history; `out` holds, by run, the permits that were never free again.

    `known`: the run was told who holds, by the run before it or by its own rebuild.
    """

    def __init__(self, converter: DataConverter) -> None:
        self.out: dict[str, Holder] = {}
        self.known = False
        self._converter = converter
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

    async def _started(self, event: HistoryEvent) -> None:
        payloads = event.workflow_execution_started_event_attributes.input
        if state := await self._read(payloads, KeeperState):
            self._learn(state.holders)

    def _learn(self, holders: tuple[Holder, ...]) -> None:
        self.known = True
        self.out.update((holder.run_id, holder) for holder in holders)

    async def _scheduled(self, event: HistoryEvent) -> None:
        task = event.activity_task_scheduled_event_attributes
        name = task.activity_type.name
        if name == FIND_JOBS:
            self._rebuilds.add(event.event_id)
        elif name == DRAIN_ACTIVITY and (drain := await self._read(task.input, Drain)):
            self._drains[event.event_id] = drain.run_id
        elif name == GRANT_AND_WATCH and (watch := await self._read(task.input, Watch)):
            self._watched(event, watch.permit)

    def _watched(self, event: HistoryEvent, permit: Permit) -> None:
        self._watches[event.event_id] = permit.run_id
        since = event.event_time.ToDatetime(tzinfo=UTC)
        holder = Holder(job_id=permit.job_id, run_id=permit.run_id, token=permit.token, since=since)
        self.out.setdefault(permit.run_id, holder)

    async def _completed(self, event: HistoryEvent) -> None:
        task = event.activity_task_completed_event_attributes
        number = task.scheduled_event_id
        if number in self._rebuilds:
            if found := await self._read(task.result, Found):
                self._learn(found.holders)
        elif number in self._drains:
            self.out.pop(self._drains[number], None)
        elif number in self._watches:
            run_id = self._watches[number]
            if await self._read(task.result, Closed) is Closed.ORDERLY:
                self.out.pop(run_id, None)
            else:
                self.out[run_id] = self.out[run_id].model_copy(update={"draining": True})

    async def _read(self, payloads: Payloads, kind: type[T]) -> T | None:
        return await read_one(self._converter, payloads, kind)
