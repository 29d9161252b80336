"""The error tree; each class has a code, an HTTP status, and whether a retry can help."""

import re
from typing import ClassVar

from shared.failures import RULES, FailureClass, Rule


class GenvideoError(Exception):
    """Base of all errors: the message is a sentence for a person.

    A class names what differs from its base: `class QueueFull(GenvideoError, status=503, …)`. Its
    `code`, which callers rely on, is its name by default: `queue_full`.
    """

    code: ClassVar[str] = "internal"
    status: ClassVar[int] = 500
    title: ClassVar[str] = "Internal error"
    retryable: ClassVar[bool] = False

    def __init_subclass__(
        cls,
        *,
        code: str | None = None,
        status: int | None = None,
        title: str | None = None,
        retryable: bool | None = None,
    ) -> None:
        super().__init_subclass__()
        cls.code = code or re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()
        cls.status = cls.status if status is None else status
        cls.title = cls.title if title is None else title
        cls.retryable = cls.retryable if retryable is None else retryable

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.retry_after = retry_after
        # Details of its failure for the workflow.
        self.details: tuple[object, ...] = ()


class InvalidInput(GenvideoError, status=422, title="The input does not fit"):
    """The input does not fit the route; field by field if possible."""


class RouteNotFound(GenvideoError, code="not_found", status=404, title="Not found"):
    """There is no such route, or the caller may not know of it."""


class BodyTooLarge(GenvideoError, status=413, title="The body is too large"):
    """The body has more bytes than the service takes."""


class NotJson(GenvideoError, status=415, title="The body is not JSON"):
    """The media type or the body is not JSON."""


class UnknownHost(GenvideoError, status=421, title="This host is unknown"):
    """The request's `Host` is foreign, perhaps because a page resolves its own name to this
    machine."""


class ForeignOrigin(GenvideoError, status=403, title="Pages of this origin are not allowed"):
    """A page of another site may neither change nor watch anything."""


class TemporalUnavailable(
    GenvideoError, status=503, title="Temporal does not answer", retryable=True
):
    """Temporal, or a worker that must answer through it, gave no answer in time."""


class TemporalRefuses(TemporalUnavailable, title="Temporal refuses us", retryable=False):
    """Temporal refuses us; a retry does not help until an operator fixes the cause."""


class PayloadUnreadable(GenvideoError, title="A payload can't be decrypted"):
    """A payload was encrypted with an unknown key, or was changed."""


class QueueFull(GenvideoError, status=503, title="The queue is full", retryable=True):
    """The semaphore's queue is full."""


class NotReady(GenvideoError, status=503, title="Not ready", retryable=True):
    """A dependency of the service does not answer."""


class Fenced(GenvideoError, title="Another try has taken over", retryable=True):
    """The run has closed, or another try has begun; this one submits nothing."""


class RecordStands(GenvideoError, title="The job's record accepts nothing from this attempt"):
    """The record has ended, belongs to another run, or has later versions of this run."""


class NotThisRun(GenvideoError, title="The order belongs to another run"):
    """The activity's order belongs to another run, because this run was reset."""


class Stopped(GenvideoError, title="The activity was stopped", retryable=True):
    """A cancellation stopped the activity; its details say what it leaves at the vendor."""


class StorageFailed(GenvideoError, title="The file could not be stored", retryable=True):
    """The disk or a download failed; the next try may work."""


class VendorError(
    GenvideoError, code=GenvideoError.code, status=502, title="The vendor call failed"
):
    """A call to a vendor failed; the subclass says what follows."""

    failure: ClassVar[FailureClass]
    rule: ClassVar[Rule]

    def __init_subclass__(cls, *, failure: FailureClass, code: str | None = None) -> None:
        cls.failure, cls.rule = failure, RULES[failure]
        super().__init_subclass__(code=code, retryable=cls.rule.retried)


class NeverDelivered(VendorError, failure=FailureClass.NEVER_DELIVERED):
    """The request did not leave."""


class RefusedForNow(VendorError, failure=FailureClass.REFUSED_FOR_NOW):
    """The vendor is full or away."""


class RefusedForGood(VendorError, failure=FailureClass.REFUSED_FOR_GOOD):
    """The vendor will never accept this."""


class OutcomeUnknown(VendorError, failure=FailureClass.OUTCOME_UNKNOWN):
    """The vendor may have accepted the submit."""


class GenerationFailed(VendorError, failure=FailureClass.GENERATION_FAILED):
    """An accepted generation failed."""


class BadResult(VendorError, failure=FailureClass.GENERATION_FAILED):
    """The vendor's file is missing, empty, truncated or of another kind: the generation failed."""


class GenerationLost(VendorError, failure=FailureClass.GENERATION_LOST):
    """The vendor accepted the generation, and does not know it any more."""


class AttemptTimedOut(VendorError, failure=FailureClass.GENERATION_FAILED):
    """The generation was stopped after its deadline, and the vendor confirms it."""


class GivenUp(VendorError, failure=FailureClass.GIVEN_UP):
    """An accepted generation took so long that another one would not end either."""


class NeverTold(VendorError, failure=FailureClass.GIVEN_UP):
    """The vendor may have accepted the submit, and can't be asked by our id."""


class WrongKind(VendorError, failure=FailureClass.REFUSED_FOR_GOOD):
    """The file is whole and of another kind; another generation would not change that."""


class ResultNotAllowed(VendorError, failure=FailureClass.REFUSED_FOR_GOOD):
    """The file's host is not allowed; another generation would not change that."""


def explained(error: VendorError) -> dict[str, str]:
    """Return the class of a failure and what follows, in the words of the table."""
    return {
        "failure_class": error.failure,
        "counted": error.rule.counted,
        "next": error.rule.next,
    }


def what_kind(error: GenvideoError) -> dict[str, str]:
    """Return the class of a vendor's failure; for one of our own errors, whether it is retried."""
    if isinstance(error, VendorError):
        return explained(error)
    return {"next": "tried again" if error.retryable else "back to the workflow"}
