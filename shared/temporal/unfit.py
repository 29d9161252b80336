"""What a workflow does not take: a message without its one value, and a reset to its beginning.

A signal takes one value; with none, nothing or several, it is dropped.

The SDK drops a signal whose value can't be read. Of another number of values, and of a null, which
it reads as None whatever the type, it would call the handler all the same, whose error fails the
workflow's task, and every one that follows.
"""

from collections.abc import Sequence
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ApplicationError
from temporalio.worker import (
    ExecuteWorkflowInput,
    HandleSignalInput,
    HandleUpdateInput,
    Interceptor,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
    WorkflowOutboundInterceptor,
)

with workflow.unsafe.imports_passed_through():
    from shared.jobs.closing import MESSAGES, RESET


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
            raise ApplicationError(MESSAGES[RESET], type=RESET, non_retryable=True)
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
