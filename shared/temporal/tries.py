"""Which try of an activity this is, and whether it is the current one, by the server's word."""

from datetime import UTC

from temporalio import activity
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError

from shared.semaphore.server import is_no_run


async def is_current_try(client: Client) -> bool:
    """Whether the calling activity's run is open, and this try is the one that the server awaits.

    A read of the server's own state, which costs no history. The beginning of the try is compared
    and not its number, which an operator's reset sets back.
    """
    info = activity.info()
    handle = client.get_workflow_handle(str(info.workflow_id), run_id=info.workflow_run_id)
    try:
        described = await handle.describe()
    except RPCError as error:
        if not is_no_run(error):
            raise
        return False
    if described.status is not WorkflowExecutionStatus.RUNNING:
        return False
    return any(map(_is_this, described.raw_description.pending_activities))


def _is_this(pending: PendingActivityInfo) -> bool:
    info = activity.info()
    begun = pending.last_started_time.ToDatetime(UTC)
    return pending.activity_id == info.activity_id and begun == info.started_time
