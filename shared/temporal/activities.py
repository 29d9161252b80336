"""For activities: our errors in Temporal's form, and the check for the current try."""

from datetime import UTC, timedelta

from temporalio import activity
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory
from temporalio.service import RPCError

from shared.errors import GenvideoError, Stopped, VendorError, explained
from shared.semaphore.server import is_no_run


def to_application_error(error: GenvideoError) -> ApplicationError:
    """Return Temporal's form of an error: its type is our code, and only retryable ones are
    retried.

    A vendor's error has its class as details, for the Temporal UI. A requested stop is benign, so
    that neither the SDK's log nor its metrics count it as a failure.
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
    """True if the calling activity's run is open, and the server awaits this try.

    It describes the run, which adds no history. It compares the start of the try, not its number,
    because an operator's reset sets the number back.
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
    return any(
        each.activity_id == info.activity_id
        and each.last_started_time.ToDatetime(UTC) == info.started_time
        for each in described.raw_description.pending_activities
    )


def is_first_try() -> bool:
    """True if no earlier try of the calling activity was begun.

    An operator's reset sets the number of the try back to 1, but not the time of its scheduling.
    """
    info = activity.info()
    return info.attempt == 1 and info.current_attempt_scheduled_time == info.scheduled_time
