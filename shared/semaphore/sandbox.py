"""How workflow code is run, for workers and replays alike.

In the SDK's sandbox, past which our own modules go; and without what a workflow does not take: a
message without its one value, and a reset to its beginning.

A signal takes one value; with none, nothing or several, it is dropped. The SDK drops a signal whose
value can't be read. Of another number of values, and of a null, which it reads as None whatever the
type, it would call the handler all the same, whose error fails the workflow's task, and every one
that follows.
"""

from collections.abc import Callable, Sequence
from typing import Any

from temporalio import workflow
from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.converter import StorageDriverStoreContext
from temporalio.exceptions import ApplicationError
from temporalio.worker import (
    ExecuteWorkflowInput,
    HandleSignalInput,
    HandleUpdateInput,
    Interceptor,
    Worker,
    WorkflowInboundInterceptor,
    WorkflowInstance,
    WorkflowInstanceDetails,
    WorkflowInterceptorClassInput,
    WorkflowOutboundInterceptor,
)
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions
from temporalio.workflow import Info

# A run that was reset by hand ends with this.
RESET = "reset_not_supported"
RESET_MESSAGE = "The run was reset by hand, which is not supported: start it again."
# Checked by import-linter to hold no clock, no randomness and no I/O; loaded once, not per run.
PASSED_THROUGH = (__name__.partition(".")[0], "pydantic", "pydantic_core", "annotated_types")


class WorkflowRunner(SandboxedWorkflowRunner):
    """The sandbox for every worker and replayer of ours."""

    def __init__(self, *modules: str) -> None:
        super().__init__(
            restrictions=SandboxRestrictions.default.with_passthrough_modules(
                *PASSED_THROUGH, *modules
            )
        )
        self._forget: Callable[[str], None] | None = None

    def serve(self, worker: Worker) -> None:
        """Have the worker forget each run to which a query shows what no task has told yet.

        Its task tells it once more, all at once and as each replay will; where it had been seen
        one by one, an update could come behind an activity's end that a replay puts it before.
        """
        self._forget = worker._bridge_worker.request_workflow_eviction

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        return Instance(super().create_instance(det), self._forget)


class Instance(WorkflowInstance):
    """One run in its sandbox, which is not asked whose payload is read or written.

    The SDK asks for each payload, and to enter the sandbox for it took a seventh of a worker's
    processor time; our converter and its codec make no difference.
    """

    def __init__(self, inside: WorkflowInstance, forget: Callable[[str], None] | None) -> None:
        self._inside = inside
        self._forget = forget
        self._seen, self._task_began = 0, -1

    def activate(self, act: WorkflowActivation) -> WorkflowActivationCompletion:
        if self._is_ahead(act) and self._forget is not None:
            self._forget(act.run_id)
        return self._inside.activate(act)

    def _is_ahead(self, act: WorkflowActivation) -> bool:
        """Whether it tells more of the history without a task that has begun since.

        The time is that of the latest task's beginning, and stands for as long as none begins.
        """
        if all(job.HasField("query_workflow") for job in act.jobs):
            return False
        seen, began = self._seen, self._task_began
        self._seen, self._task_began = act.history_length, act.timestamp.ToNanoseconds()
        return self._seen > seen and self._task_began == began

    def get_serialization_context(self, command_info: object) -> None:
        return None

    def get_external_store_context(self, command_info: object) -> StorageDriverStoreContext:
        return StorageDriverStoreContext(target=None)

    def get_info(self) -> Info:
        return self._inside.get_info()

    def get_thread_id(self) -> int | None:
        return self._inside.get_thread_id()


class UnfitPassedOver(Interceptor):
    """Installed in every worker and replayer, for both must do the same."""

    def workflow_interceptor_class(
        self, input: WorkflowInterceptorClassInput
    ) -> type[WorkflowInboundInterceptor]:
        """Wrap the workflow's handlers."""
        return _Inbound


class _Inbound(WorkflowInboundInterceptor):
    def init(self, outbound: WorkflowOutboundInterceptor) -> None:
        super().init(outbound)
        self._seed = workflow.random_seed()

    async def execute_workflow(self, input: ExecuteWorkflowInput) -> Any:
        """Fail a run that was reset to before its first task: the server has given it another seed
        by then, at the same place of its history in each replay."""
        if workflow.random_seed() != self._seed:
            raise ApplicationError(RESET_MESSAGE, type=RESET, non_retryable=True)
        return await super().execute_workflow(input)

    async def handle_signal(self, input: HandleSignalInput) -> None:
        if _is_one_value(input.args):
            await super().handle_signal(input)
        else:
            workflow.logger.warning("a signal without its one value was dropped: %s", input.signal)

    async def handle_update_handler(self, input: HandleUpdateInput) -> Any:
        if not _is_one_value(input.args):
            raise ApplicationError(f"{input.update} takes one value.")
        return await super().handle_update_handler(input)


def _is_one_value(args: Sequence[Any]) -> bool:
    return len(args) == 1 and args[0] is not None
