"""Run workflow code in the same way for workers and replays."""

from collections.abc import Callable
from typing import Any

from google.protobuf.message import Message
from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.exceptions import ApplicationError
from temporalio.worker import (
    UnsandboxedWorkflowRunner,
    Worker,
    WorkflowInstance,
    WorkflowInstanceDetails,
)
from temporalio.worker._workflow_instance import _WorkflowInstanceImpl

from .messages import RESET, RESET_MESSAGE


class WorkflowRunner(UnsandboxedWorkflowRunner):
    """The runner of every worker and replayer.

    It has no sandbox, which would pass all our modules through: import-linter checks that workflow
    code reaches no clock, no randomness and no I/O.
    """

    _forget: Callable[[str], None] | None = None

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
    """One run, which notices that it was reset, what fits no handler, and a query that is ahead of
    its tasks."""

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

    def _process_handler_args(
        self, name: str, payloads: Any, defn_name: Any, arg_types: Any, *rest: Any
    ) -> list[Any]:
        """Refuse what fits no handler: the SDK then drops the signal, and rejects the update.

        By itself it calls the handler with another number of values, and with a null, bytes or a
        protobuf, whatever its types. Its error would fail the task, and every later one.
        """
        args = super()._process_handler_args(name, payloads, defn_name, arg_types, *rest)
        wrong = any(isinstance(each, bytes | Message | None) for each in args)
        if wrong or len(args) != len(arg_types):
            raise ValueError(f"{name} takes {len(arg_types)} JSON values.")
        return args

    def _failed(self, act: WorkflowActivation) -> WorkflowActivationCompletion:
        """Fail the run without what else has come; it still answers queries."""
        first = WorkflowActivation()
        first.CopyFrom(act)
        del first.jobs[:]
        first.jobs.extend(job for job in act.jobs if job.HasField("initialize_workflow"))
        completion = super().activate(first)
        del completion.successful.commands[:]
        self._set_workflow_failure(ApplicationError(RESET_MESSAGE, type=RESET, non_retryable=True))
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
