"""For activities: our errors in Temporal's form, and which try of an activity this is."""

from datetime import UTC, timedelta

from temporalio import activity
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory
from temporalio.service import RPCError

from shared.errors import GenvideoError, Stopped, VendorError, explained
from shared.semaphore.server import is_no_run


def to_application_error(error: GenvideoError) -> ApplicationError:
    """Temporal's form of an error: the type is our code, and only retryable ones are retried.

    A vendor's carries its class as details, for the Temporal UI. A stop that
    was asked for is benign: neither the SDK's log nor its metrics take it for a failure.
    """
    delay = None if error.retry_after is None else timedelta(seconds=error.retry_after)
    kind = (explained(error),) if isinstance(error, VendorError) else ()
    return ApplicationError(
        error.message,
        *kind,
        *error.details,
        type=error.code,
        non_retryable=not error.retryable,
        next_retry_delay=delay,
        category=(
            ApplicationErrorCategory.BENIGN
            if isinstance(error, Stopped)
            else ApplicationErrorCategory.UNSPECIFIED
        ),
    )


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
