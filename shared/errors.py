"""The one error tree; each class fixes a code, an HTTP status and whether trying again can help."""

from datetime import timedelta
from typing import ClassVar

from temporalio.exceptions import ApplicationError

from shared.failures import RULES, FailureClass, Rule


class GenvideoError(Exception):
    """Base: `code` is stable, the message is a sentence for a person."""

    code: ClassVar[str] = "internal"
    http_status: ClassVar[int] = 500
    title: ClassVar[str] = "Internal error"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.retry_after = retry_after


class InvalidInput(GenvideoError):
    code, http_status, title = "invalid_input", 422, "The input does not fit"


class JobNotFound(GenvideoError):
    code, http_status, title = "job_not_found", 404, "No such job"


class AssetNotFound(GenvideoError):
    code, http_status, title = "asset_not_found", 404, "No such file"


class RouteNotFound(GenvideoError):
    code, http_status, title = "not_found", 404, "Not found"


class JobEnded(GenvideoError):
    code, http_status, title = "job_ended", 409, "The job has already ended"


class JobNotRetryable(GenvideoError):
    code, http_status, title = "job_not_retryable", 409, "The job can't be run again"


class IdempotencyConflict(GenvideoError):
    code, http_status, title = "idempotency_conflict", 422, "The key was used for another body"


class BodyTooLarge(GenvideoError):
    code, http_status, title = "body_too_large", 413, "The body is too large"


class BodyTooSlow(GenvideoError):
    code, http_status, title = "body_too_slow", 408, "The body came too slowly"


class NotJson(GenvideoError):
    code, http_status, title = "not_json", 415, "The body is not JSON"


class TemporalUnavailable(GenvideoError):
    code, http_status, title = "temporal_unavailable", 503, "Temporal does not answer"
    retryable = True


class PayloadUnreadable(GenvideoError):
    """A payload was encrypted with a key that we don't have, or was changed."""

    code, title = "payload_unreadable", "A payload can't be decrypted"


class AnotherStack(GenvideoError):
    """The namespace is another stack's, whose slot, queues and jobs we must not share."""

    code, title = "another_stack", "The namespace is another stack's"


class NotKept(GenvideoError):
    """The disk does not take it, or too many wait for the disk."""

    code, http_status, title = "not_kept", 503, "The callback could not be kept"
    retryable = True


class ReceiptNotFound(GenvideoError):
    code, http_status, title = "receipt_not_found", 404, "No such receipt"


class ReceiptNotReplayable(GenvideoError):
    code, http_status, title = "receipt_not_replayable", 409, "The receipt can't be replayed"


class NotAuthorized(GenvideoError):
    code, http_status, title = "not_authorized", 401, "Not authorized"


class QueueFull(GenvideoError):
    """As many jobs wait for the slot as its keeper can carry."""

    code, http_status, title, retryable = "queue_full", 503, "The queue is full", True


class NotYet(GenvideoError):
    """It is not, or no more, this run's turn: overtaken, unknown to the keeper, or reset."""

    code, title = "not_yet", "It is not this run's turn"


class GateNotYet(GenvideoError):
    """As NotYet, for the gate of a stage."""

    code, title = "gate_not_yet", "It is not this run's turn at the gate"


class StorageFailed(GenvideoError):
    """Our own disk or a download that may work next time."""

    code, title, retryable = "storage_failed", "The file could not be stored", True


class VendorError(GenvideoError):
    """A call to a vendor that did not go well; its class says what is done about it."""

    title = "The vendor call failed"
    http_status = 502
    failure: ClassVar[FailureClass]
    rule: ClassVar[Rule]

    def __init_subclass__(cls) -> None:
        cls.rule = RULES[cls.failure]
        cls.retryable = cls.rule.retried
        cls.code = vars(cls).get("code", cls.failure.value)


class NeverDelivered(VendorError):
    """The request did not leave."""

    failure = FailureClass.NEVER_DELIVERED


class RefusedForNow(VendorError):
    """The vendor is full or out."""

    failure = FailureClass.REFUSED_FOR_NOW


class RefusedForGood(VendorError):
    """The vendor will never take this."""

    failure = FailureClass.REFUSED_FOR_GOOD


class OutcomeUnknown(VendorError):
    """It may have been accepted."""

    failure = FailureClass.OUTCOME_UNKNOWN


class GenerationFailed(VendorError):
    """An accepted generation ended badly."""

    failure = FailureClass.GENERATION_FAILED


class BadResult(VendorError):
    """The vendor's file is gone, empty, truncated or of another kind: as good as failed."""

    code, failure = "bad_result", FailureClass.GENERATION_FAILED


class GenerationLost(VendorError):
    """Accepted, then unknown to the vendor."""

    failure = FailureClass.GENERATION_LOST


class AttemptTimedOut(VendorError):
    """It worked for longer than its deadline, and the vendor says that it was stopped."""

    code, failure = "attempt_timed_out", FailureClass.GENERATION_FAILED


class GivenUp(VendorError):
    """Accepted, and no end after a time in which another one would not end either."""

    failure = FailureClass.GIVEN_UP


class WrongKind(VendorError):
    """A whole file of another kind than ours; another generation's would be, too."""

    code, failure = "wrong_kind", FailureClass.REFUSED_FOR_GOOD


class ResultNotAllowed(VendorError):
    """The vendor's file lies where we fetch nothing from; another generation's would, too."""

    code, failure = "result_not_allowed", FailureClass.REFUSED_FOR_GOOD


def to_application_error(error: GenvideoError) -> ApplicationError:
    """Temporal's form of an error: the type is our code, and only retryable ones are retried.

    A vendor's carries its class as details, for whoever looks at it in the Temporal UI.
    """
    delay = None if error.retry_after is None else timedelta(seconds=error.retry_after)
    details = (explained(error),) if isinstance(error, VendorError) else ()
    return ApplicationError(
        error.message,
        *details,
        type=error.code,
        non_retryable=not error.retryable,
        next_retry_delay=delay,
    )


def explained(error: VendorError) -> dict[str, str]:
    """What kind of failure it is and what happens next, in the words of the table."""
    return {
        "failure_class": error.failure,
        "counted": error.rule.counted,
        "next": error.rule.next,
    }


def what_kind(error: GenvideoError) -> dict[str, str]:
    """The class of a vendor's failure; of ours, whether it is tried again."""
    if isinstance(error, VendorError):
        return explained(error)
    return {"next": "tried again" if error.retryable else "back to the workflow"}
