"""Run workflow code in the same way for workers and replays.

A signal must have exactly one value, in JSON and not null; any other signal is dropped. The SDK
drops only a signal whose value can't be read. For another number of values, and for a null, bytes
or a protobuf, it calls the handler, whose error would fail the workflow's task, and every later
one. A run that was reset fails before it does anything of its own.
"""

from collections.abc import Callable, Sequence
from typing import Any

from google.protobuf.message import Message
from temporalio import workflow
from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.exceptions import ApplicationError
from temporalio.worker import (
    HandleSignalInput,
    HandleUpdateInput,
    Interceptor,
    UnsandboxedWorkflowRunner,
    Worker,
    WorkflowInboundInterceptor,
    WorkflowInstance,
    WorkflowInstanceDetails,
    WorkflowInterceptorClassInput,
)
from temporalio.worker._workflow_instance import _WorkflowInstanceImpl

from .messages import RESET

RESET_MESSAGE = "The run was reset by hand, which is not supported: start it again."


class WorkflowRunner(UnsandboxedWorkflowRunner):
    """The runner of every worker and replayer.

    It has no sandbox, which would pass all our modules through: import-linter checks that workflow
    code reaches no clock, no randomness and no I/O.
    """

    def __init__(self) -> None:
        super().__init__()
        self._forget: Callable[[str], None] | None = None

    def serve(self, worker: Worker) -> None:
        """Evict a run after a query that shows it more of its history than its tasks have.

        Its next task replays everything at once, as each replay does. Otherwise the run would see
        one event after the other, and an update could follow an activity's end that a replay puts
        after it.
        """
        self._forget = worker._bridge_worker.request_workflow_eviction

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        return Instance(det, self._forget)  # type: ignore[abstract] # as the SDK's own


class Instance(_WorkflowInstanceImpl):
    """One run, which notices that it was reset, and a query that is ahead of its tasks."""

    def __init__(self, det: WorkflowInstanceDetails, forget: Callable[[str], None] | None) -> None:
        super().__init__(det)
        self._forget = forget
        self._shown, self._task_began = 0, -1

    def activate(self, act: WorkflowActivation) -> WorkflowActivationCompletion:
        if any(job.HasField("update_random_seed") for job in act.jobs):
            # The server gives a run that was reset another seed at that place of its history.
            return self._failed(act)
        if self._is_ahead(act) and self._forget is not None:
            self._forget(act.run_id)
        if any(job.HasField("signal_workflow") for job in act.jobs):
            # Otherwise a signal that calls no handler has no condition checked.
            self.call_soon(lambda: None)
        return super().activate(act)

    def _failed(self, act: WorkflowActivation) -> WorkflowActivationCompletion:
        """Fail the run without what else has come; it still answers queries."""
        first = WorkflowActivation()
        first.CopyFrom(act)
        del first.jobs[:]
        first.jobs.extend(job for job in act.jobs if job.HasField("initialize_workflow"))
        if first.jobs:
            # Its commands are dropped.
            super().activate(first)
        completion = WorkflowActivationCompletion(run_id=act.run_id)
        failure = completion.successful.commands.add().fail_workflow_execution.failure
        failure.message = RESET_MESSAGE
        failure.application_failure_info.type = RESET
        failure.application_failure_info.non_retryable = True
        return completion

    def _is_ahead(self, act: WorkflowActivation) -> bool:
        """True if a query shows more history, and no task has begun since.

        The time is that of the latest task's beginning, and stands still while none begins.
        """
        if all(job.HasField("query_workflow") for job in act.jobs):
            return False
        shown, began = self._shown, self._task_began
        self._shown, self._task_began = act.history_length, act.timestamp.ToNanoseconds()
        return self._shown > shown and self._task_began == began


class DropInvalidSignals(Interceptor):
    """Drop invalid signals; workers and replayers install it, because both must do the same."""

    def workflow_interceptor_class(
        self, input: WorkflowInterceptorClassInput
    ) -> type[WorkflowInboundInterceptor]:
        """Wrap the workflow's handlers."""
        return _Inbound


class _Inbound(WorkflowInboundInterceptor):
    async def handle_signal(self, input: HandleSignalInput) -> None:
        if _is_one_value(input.args):
            await super().handle_signal(input)
        else:
            workflow.logger.warning(
                "dropped a signal without exactly one JSON value: %s", input.signal
            )

    async def handle_update_handler(self, input: HandleUpdateInput) -> Any:
        if not _is_one_value(input.args):
            raise ApplicationError(f"{input.update} takes one JSON value.")
        return await super().handle_update_handler(input)


def _is_one_value(args: Sequence[Any]) -> bool:
    return len(args) == 1 and not isinstance(args[0], bytes | Message | None)
