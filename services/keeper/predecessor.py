"""What a keeper that was ended from outside left: its settings, and every permit still out."""

from collections.abc import AsyncIterator
from datetime import UTC
from typing import Any, NamedTuple

from temporalio.api.common.v1 import Payloads
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client, WorkflowExecution
from temporalio.converter import DataConverter

from services.keeper.models import FIND_JOBS, GRANT_AND_WATCH, Closed, Found, KeeperState, Watch
from shared.slots import DRAIN_ACTIVITY, JOB_GATE, Drain, Holder, KeeperSettings, keeper_id


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
        state = await self._decode(payloads, KeeperState | None)
        if state is not None:
            self._learn(state.holders)

    def _learn(self, holders: tuple[Holder, ...]) -> None:
        self.known = True
        self.out.update((holder.run_id, holder) for holder in holders)

    async def _scheduled(self, event: HistoryEvent) -> None:
        task = event.activity_task_scheduled_event_attributes
        if task.activity_type.name == GRANT_AND_WATCH:
            permit = (await self._decode(task.input, Watch)).permit
            self._watches[event.event_id] = permit.run_id
            since = event.event_time.ToDatetime(tzinfo=UTC)
            holder = Holder(
                job_id=permit.job_id, run_id=permit.run_id, token=permit.token, since=since
            )
            self.out.setdefault(permit.run_id, holder)
        elif task.activity_type.name == DRAIN_ACTIVITY:
            self._drains[event.event_id] = (await self._decode(task.input, Drain)).run_id
        elif task.activity_type.name == FIND_JOBS:
            self._rebuilds.add(event.event_id)

    async def _completed(self, event: HistoryEvent) -> None:
        task = event.activity_task_completed_event_attributes
        if task.scheduled_event_id in self._rebuilds:
            self._learn((await self._decode(task.result, Found)).holders)
        elif task.scheduled_event_id in self._drains:
            del self.out[self._drains[task.scheduled_event_id]]
        elif run_id := self._watches.get(task.scheduled_event_id):
            if await self._decode(task.result, Closed) is Closed.ORDERLY:
                del self.out[run_id]
            else:
                self.out[run_id] = self.out[run_id].model_copy(update={"draining": True})

    async def _decode(self, payloads: Payloads, kind: Any) -> Any:
        if not payloads.payloads:
            return None
        [value] = await self._converter.decode(payloads.payloads, [kind])
        return value
