"""What a client holds of one workflow, one run, or one activity."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from temporalio.api.enums.v1 import PendingActivityState
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionResponse
from temporalio.client import WorkflowFailureError, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError, CancelledError, TerminatedError, TimeoutError
from temporalio.service import RPCError, RPCStatusCode

from tests.simulation.history import timestamp, to_proto
from tests.simulation.process import settle
from tests.simulation.runs import Run, Status, Update
from tests.simulation.server import Server

if TYPE_CHECKING:
    from tests.simulation.client import SimulatedClient

UNDER_WAY = PendingActivityState.PENDING_ACTIVITY_STATE_STARTED
WAITS = PendingActivityState.PENDING_ACTIVITY_STATE_SCHEDULED


class Handle:
    """One workflow, or one run of it."""

    def __init__(self, client: "SimulatedClient", workflow_id: str, run_id: str | None) -> None:
        self.id = workflow_id
        self.run_id = run_id
        self._client = client
        self._server = client.server

    async def signal(self, name: str, *args: Any, **_: Any) -> None:
        payloads = self._server.table.of(*args)
        await self._client.call(
            lambda: self._server.signal(self.id, self.run_id, name=name, args=payloads)
        )

    async def describe(self, **_: Any) -> Any:
        return await self._client.call(
            lambda: _description(self._server, self._server.find(self.id, self.run_id))
        )

    async def result(self, **_: Any) -> Any:
        """The end of this run, by long poll."""
        process = self._client.process
        run = await self._client.call(lambda: self._server.find(self.id, self.run_id))
        if run.is_open:
            future = process.create_future()
            hop = self._server.hop(f"poll {process.name}")
            run.waiting.append(lambda: process.world.after(hop, settle, future, None, None))
            await future
        _raise_end(run)

    async def execute_update(self, name: str, arg: Any, **options: Any) -> Any:
        update_id = options.get("id") or f"update-{self._server.number()}"
        payloads = self._server.table.of(arg)
        wanted = Update(update_id, name, payloads, any_run=self.run_id is None)
        update = await self._client.call(lambda: self._server.update(self.id, self.run_id, wanted))
        process = self._client.process
        if update.outcome is None:
            future = process.create_future()
            hop = self._server.hop(f"update {process.name}")
            update.waiting.append(lambda: process.world.after(hop, settle, future, None, None))
            await future
        return self._outcome(update, options.get("result_type"))

    def _outcome(self, update: Update, kind: Any) -> Any:
        if update.refused is not None:
            raise RPCError(update.refused, RPCStatusCode.NOT_FOUND, b"")
        assert update.outcome is not None
        result, failure = update.outcome
        if failure is not None:
            info = failure.application_failure_info
            cause = ApplicationError(failure.message, type=info.type or None)
            raise WorkflowUpdateFailedError(cause)
        if result is None:
            return None
        return self._server.table.from_payloads([result], [kind] if kind else None)[0]

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

    async def fetch_history_events(self, **_: Any) -> AsyncIterator[HistoryEvent]:
        def read() -> list[HistoryEvent]:
            run = self._server.find(self.id, self.run_id)
            return [to_proto(event) for event in run.events]

        for event in await self._client.call(read):
            yield event


class ActivityHandle:
    """One activity, by its id, for whoever knows how its try has ended."""

    def __init__(
        self, client: "SimulatedClient", workflow_id: str, run_id: str, activity_id: str
    ) -> None:
        self._client = client
        self._workflow_id = workflow_id
        self._run_id = run_id
        self._activity_id = activity_id

    async def fail(self, error: Exception) -> None:
        """The try at work has failed."""
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


def _raise_end(run: Run) -> None:
    """As the SDK does for a run that has not completed."""
    if run.status is Status.TERMINATED:
        raise WorkflowFailureError(cause=TerminatedError("terminated"))
    if run.status is Status.TIMED_OUT:
        raise WorkflowFailureError(
            cause=TimeoutError("timed out", type=None, last_heartbeat_details=[])
        )
    if run.status is Status.CANCELED:
        raise WorkflowFailureError(cause=CancelledError("cancelled"))
    if run.status is Status.FAILED:
        raise WorkflowFailureError(cause=ApplicationError("failed"))


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
    if run.task is not None:
        task = raw.pending_workflow_task
        task.attempt = run.task.attempt
        task.scheduled_time.CopyFrom(timestamp(run.task.scheduled))
        task.original_scheduled_time.CopyFrom(timestamp(run.task.first_scheduled))
    memo = {name: server.table.from_payloads([value])[0] for name, value in run.memo.items()}

    async def read_memo() -> dict[str, Any]:
        return memo

    return SimpleNamespace(
        id=run.workflow_id,
        run_id=run.run_id,
        status=run.status,
        raw_description=raw,
        memo=read_memo,
        start_time=datetime.fromtimestamp(run.began, UTC),
        close_time=run.closed_at and datetime.fromtimestamp(run.closed_at, UTC),
        history_length=len(run.events),
    )
