"""What a workflow is told takes one value; with none, or several, it is passed over.

The SDK drops a signal whose value can't be read. Of another number of values it would call the
handler all the same, whose TypeError fails the workflow's task, and every one that follows.
"""

from typing import Any

from temporalio import workflow
from temporalio.exceptions import ApplicationError
from temporalio.worker import (
    HandleSignalInput,
    HandleUpdateInput,
    Interceptor,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
)


class UnfitPassedOver(Interceptor):
    """Installed in every worker and replayer, for both must do the same."""

    def workflow_interceptor_class(
        self, input: WorkflowInterceptorClassInput
    ) -> type[WorkflowInboundInterceptor]:
        """Wrap the workflow's handlers."""
        return _Inbound


class _Inbound(WorkflowInboundInterceptor):
    async def handle_signal(self, input: HandleSignalInput) -> None:
        if len(input.args) == 1:
            await super().handle_signal(input)
        else:
            workflow.logger.warning(
                "a signal was dropped: %s with %d values", input.signal, len(input.args)
            )

    async def handle_update_handler(self, input: HandleUpdateInput) -> Any:
        if len(input.args) != 1:
            raise ApplicationError(f"{input.update} takes one value, not {len(input.args)}.")
        return await super().handle_update_handler(input)
