"""The part of the SDK's client that activities use, on the simulated server."""

import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, TypeVar

from temporalio.api.enums.v1 import PendingActivityState
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionResponse
from temporalio.common import SearchAttributePair, TypedSearchAttributes
from temporalio.service import RPCError, RPCStatusCode

from shared.semaphore.watchdog import PROBLEMS
from tests.simulation.history import Run, Status, timestamp, to_proto
from tests.simulation.server import Server
from tests.simulation.world import Process, settle

T = TypeVar("T")
AWAY_SECONDS = 2.0
# After so many in a row the server reports that a workflow task fails.
FAILURES = 5
UNDER_WAY = PendingActivityState.PENDING_ACTIVITY_STATE_STARTED
WAITS = PendingActivityState.PENDING_ACTIVITY_STATE_SCHEDULED


@dataclass
class Handle:
    _client: "SimulatedClient"
    id: str
    run_id: str | None

    @property
    def _server(self) -> Server:
        return self._client.server

    async def signal(self, name: str, *args: Any, **_: Any) -> None:
        payloads = self._server.table.of(*args)
        await self._client.call(
            lambda: self._server.signal(self.id, self.run_id, name=name, args=payloads)
        )

    async def describe(self, **_: Any) -> Any:
        return await self._client.call(
            lambda: _description(self._server, self._server.find(self.id, self.run_id))
        )

    async def result(self) -> None:
        """Return when the run has ended, by long poll."""
        async for _ in self.fetch_history_events(wait_new_event=True):
            pass

    async def query(self, name: str, *args: Any, **options: Any) -> Any:
        payloads = self._server.table.of(*args)
        process = self._client.process
        future = process.create_future()

        def done(result: Any, error: Exception | None) -> None:
            hop = self._server.hop(f"query {process.name}")
            process.world.after(hop, settle, future, result, error)

        await self._client.call(
            lambda: self._server.query(self.id, self.run_id, name=name, args=payloads, done=done)
        )
        kind = options.get("result_type")
        payload = await future
        return self._server.table.from_payloads([payload], [kind] if kind else None)[0]

    async def terminate(self, *_: Any, **__: Any) -> None:
        def end() -> None:
            run = self._server.find(self.id, self.run_id)
            if not run.is_open:
                raise RPCError("already completed", RPCStatusCode.NOT_FOUND, b"")
            self._server.terminate(run)

        await self._client.call(end)

    async def fetch_history_events(
        self, *, wait_new_event: bool = False, **_: Any
    ) -> AsyncIterator[HistoryEvent]:
        """All events, or by long poll the end of the run alone."""
        process = self._client.process

        def read() -> tuple[Run, list[HistoryEvent]]:
            run = self._server.find(self.id, self.run_id)
            return run, [] if wait_new_event else [to_proto(event) for event in run.events]

        run, events = await self._client.call(read)
        if wait_new_event and run.is_open:
            future = process.create_future()
            hop = self._server.hop(f"poll {process.name}")
            run.waiting.append(lambda: process.world.after(hop, settle, future, None, None))
            await future
        for event in events or [to_proto(run.events[-1])]:
            yield event


@dataclass
class ActivityHandle:
    """One activity by its id, to be completed or failed from outside."""

    _client: "SimulatedClient"
    _workflow_id: str
    _run_id: str
    _activity_id: str

    async def fail(self, error: Exception) -> None:
        server = self._client.server

        def fail() -> None:
            run = server.find(self._workflow_id, self._run_id)
            for activity in list(run.activities.values()):
                if activity.activity_id == self._activity_id and activity.trying is not None:
                    return server.activities.fail(
                        activity, activity.trying, Failure(message=str(error))
                    )
            raise RPCError("no such activity", RPCStatusCode.NOT_FOUND, b"")

        await self._client.call(fail)


def _description(server: Server, run: Run) -> Any:
    raw = DescribeWorkflowExecutionResponse()
    for activity in run.activities.values():
        pending = raw.pending_activities.add()
        pending.activity_id = activity.activity_id
        pending.activity_type.name = activity.type
        pending.attempt = activity.attempt
        pending.heartbeat_details.payloads.extend(server.table.to_payloads(activity.details))
        pending.state = UNDER_WAY if activity.trying is not None else WAITS
        if activity.trying is not None:
            pending.last_heartbeat_time.CopyFrom(timestamp(activity.trying.heard))
            pending.last_started_time.CopyFrom(timestamp(activity.trying.began))
    raw.workflow_execution_info.first_run_id = run.first_run_id
    memo = {name: server.table.from_payloads([value])[0] for name, value in run.memo.items()}

    async def read_memo() -> dict[str, Any]:
        return memo

    described = _execution(run)
    described.raw_description, described.memo = raw, read_memo
    is_failing = run.task is not None and run.task.attempt > FAILURES
    problems = [SearchAttributePair(PROBLEMS, ["cause=Failure"])] if is_failing else []
    described.typed_search_attributes = TypedSearchAttributes(problems)
    return described


class SimulatedClient:
    """Belongs to a process: what was asked for when that dies is never answered."""

    namespace = "default"

    def __init__(self, server: Server, process: Process) -> None:
        self.server = server
        self.process = process
        self.data_converter = Converter(server)

    async def call(self, action: Callable[[], T]) -> T:
        """One RPC: there, done, and back."""
        server, process = self.server, self.process
        future: Any = process.create_future()
        hop = server.hop(f"rpc {process.name}")

        def arrive() -> None:
            if server.is_away:
                error = RPCError("away", RPCStatusCode.UNAVAILABLE, b"")
                server.world.after(AWAY_SECONDS, settle, future, None, error)
                return
            try:
                result = action()
            except RPCError as error:
                server.world.after(hop, settle, future, None, error)
            else:
                server.world.after(hop, settle, future, result, None)

        server.world.after(hop, arrive)
        result: T = await future
        return result

    def get_workflow_handle(
        self, workflow_id: str, *, run_id: str | None = None, **_: Any
    ) -> Handle:
        return Handle(self, workflow_id, run_id)

    def get_async_activity_handle(
        self, *, workflow_id: str, run_id: str, activity_id: str
    ) -> ActivityHandle:
        return ActivityHandle(self, workflow_id, run_id, activity_id)

    async def start_workflow(
        self,
        workflow: str,
        *,
        id: str,
        task_queue: str,
        task_timeout: timedelta,
        start_signal: str | None = None,
        start_signal_args: Any = (),
        **_: Any,
    ) -> None:
        table = self.server.table
        signal = (start_signal, table.of(*start_signal_args)) if start_signal else None
        await self.call(
            lambda: self.server.signal_with_start(
                workflow, id, queue=task_queue, task_timeout=task_timeout.total_seconds(),
                signal=signal,
            )
        )  # fmt: skip

    async def list_workflows(self, query: str, **_: Any) -> AsyncIterator[Any]:
        found = await self.call(lambda: [_execution(run) for run in self._listed(query)])
        for execution in found:
            yield execution

    def _listed(self, query: str) -> list[Run]:
        wanted = dict(re.findall(r"(WorkflowType|WorkflowId) = '([^']+)'", query))
        now = self.server.world.now
        found = []
        for run in self.server.all_runs():
            if run.deleted:
                continue
            lag = self.server.lag_of(run)
            if run.made_at + lag > now:
                continue
            was_open = run.closed_at is None or run.closed_at + lag > now
            if wanted.get("WorkflowType", run.type) != run.type:
                continue
            if wanted.get("WorkflowId", run.workflow_id) != run.workflow_id:
                continue
            was_killed = run.status in (Status.TERMINATED, Status.TIMED_OUT) and not was_open
            is_wanted = was_open or (was_killed and "'Terminated'" in query)
            if "'Running'" in query and not is_wanted:
                continue
            found.append(run)
        return found


class Converter:
    """What decodes payloads outside of a workflow."""

    def __init__(self, server: Server) -> None:
        self._table = server.table
        self.payload_converter = server.table

    async def decode(self, payloads: Any, type_hints: Any = None) -> list[Any]:
        return self._table.from_payloads(payloads, type_hints)


def _execution(run: Run) -> Any:
    return SimpleNamespace(
        id=run.workflow_id,
        run_id=run.run_id,
        status=run.status,
        start_time=datetime.fromtimestamp(run.began, UTC),
        close_time=run.closed_at and datetime.fromtimestamp(run.closed_at, UTC),
        history_length=len(run.events),
        raw_info=SimpleNamespace(memo=SimpleNamespace(fields=run.memo)),
    )
