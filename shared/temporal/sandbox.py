"""How workflow code is run, for workers and replays alike: in the SDK's sandbox, ours passed by."""

from collections.abc import Callable

from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.converter import StorageDriverStoreContext
from temporalio.worker import Worker, WorkflowInstance, WorkflowInstanceDetails
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions
from temporalio.workflow import Info

# Checked by import-linter to hold no clock, no randomness and no I/O; loaded once, not per run.
PASSED_THROUGH = ("shared", "services", "pydantic", "pydantic_core", "annotated_types")


class WorkflowRunner(SandboxedWorkflowRunner):
    """The sandbox for every worker and replayer of ours."""

    def __init__(self) -> None:
        super().__init__(
            restrictions=SandboxRestrictions.default.with_passthrough_modules(*PASSED_THROUGH)
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
