"""What a workflow is told takes one value; with none, nothing or several, it is passed over.

The SDK drops a signal whose value can't be read. Of another number of values, and of a null, which
it reads as None whatever the type, it would call the handler all the same, whose error fails the
workflow's task, and every one that follows.
"""

from collections.abc import Sequence
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
