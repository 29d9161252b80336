"""The part of the SDK's client that activities use, on the simulated server."""

import re
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, TypeVar

from temporalio.service import RPCError, RPCStatusCode

from tests.simulation.handles import ActivityHandle, Handle
from tests.simulation.history import to_proto
from tests.simulation.process import Process, settle
from tests.simulation.runs import Run, Status
from tests.simulation.server import Server

T = TypeVar("T")
AWAY_SECONDS = 2.0


class WorkflowService:
    """The part of the server's own interface that is used without the SDK's."""

    def __init__(self, client: "SimulatedClient") -> None:
        self._client = client

    async def get_workflow_execution_history_reverse(self, request: Any) -> Any:
        """All of a history in one page, latest event first."""
        execution, server = request.execution, self._client.server

        def read() -> list[Any]:
            run = server.find(execution.workflow_id, execution.run_id)
            return [to_proto(event) for event in reversed(run.events)]

        events = await self._client.call(read)
        return SimpleNamespace(history=SimpleNamespace(events=events), next_page_token=b"")


class SimulatedClient:
    """Belongs to a process: what was asked for when that dies is never answered."""

    namespace = "default"

    def __init__(self, server: Server, process: Process) -> None:
        self.server = server
        self.process = process
        self.data_converter = Converter(server)
        self.workflow_service = WorkflowService(self)

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
            if "'Running'" in query and not was_open:
                continue
            if "'Terminated'" in query and (
                was_open or run.status not in (Status.TERMINATED, Status.TIMED_OUT)
            ):
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
    )
