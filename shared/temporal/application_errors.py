"""Our errors in Temporal's form."""

from datetime import timedelta

from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from shared.errors import GenvideoError, Stopped, VendorError, explained


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
