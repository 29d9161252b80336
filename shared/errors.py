"""The one error tree; each class fixes a code, an HTTP status and whether trying again can help."""

from typing import ClassVar

from shared.failures import RULES, FailureClass, Rule


class GenvideoError(Exception):
    """Base: `code` is stable, the message is a sentence for a person.

    A class names what differs from its base: `class QueueFull(GenvideoError, status=503, …)`.
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
        cls.code = cls.code if code is None else code
        cls.status = cls.status if status is None else status
        cls.title = cls.title if title is None else title
        cls.retryable = cls.retryable if retryable is None else retryable

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.retry_after = retry_after
        # What its failure tells the workflow beside.
        self.details: tuple[object, ...] = ()


class InvalidInput(GenvideoError, code="invalid_input", status=422, title="The input does not fit"):
    """What was sent does not fit the route, field by field where it can be told."""


class RouteNotFound(GenvideoError, code="not_found", status=404, title="Not found"):
    """There is nothing at this address, or nothing that the caller may know of."""


class BodyTooLarge(GenvideoError, code="body_too_large", status=413, title="The body is too large"):
    """More bytes than the service takes."""


class NotJson(GenvideoError, code="not_json", status=415, title="The body is not JSON"):
    """The media type, or the body, is another one than JSON."""


class UnknownHost(
    GenvideoError, code="unknown_host", status=421, title="This host is none of ours"
):
    """The name that a request calls us by is not ours: perhaps a page has lead its own one here."""


class ForeignOrigin(
    GenvideoError, code="foreign_origin", status=403, title="Pages of this origin are not let in"
):
    """A page of another site may neither change anything here nor listen."""


class TemporalUnavailable(
    GenvideoError,
    code="temporal_unavailable",
    status=503,
    title="Temporal does not answer",
    retryable=True,
):
    """Temporal, or who must answer through it, gave no answer in time."""


class TemporalRefuses(
    TemporalUnavailable,
    code="temporal_refuses",
    title="Temporal won't have us",
    retryable=False,
):
    """Temporal is there and won't have us: trying again helps nobody until that is mended."""


class NamespaceMissing(
    TemporalRefuses, code="namespace_missing", title="The namespace is not there"
):
    """The namespace that we are to use is none of the server's."""


class TemporalForbids(
    TemporalRefuses, code="temporal_forbids", title="Temporal does not let us in"
):
    """A key, a certificate or a right that the server wants is not ours."""


class AttributesMissing(
    TemporalRefuses,
    code="search_attributes_missing",
    title="Search attributes are missing",
):
    """The namespace lacks a search attribute of ours, or has it as another type."""


class TlsUnfit(TemporalRefuses, code="temporal_tls", title="TLS with Temporal does not fit"):
    """What each side expects of the other's TLS isn't what it gets."""


class PayloadUnreadable(
    GenvideoError, code="payload_unreadable", title="A payload can't be decrypted"
):
    """A payload was encrypted with a key that we don't have, or was changed."""


class AnotherStack(GenvideoError, code="another_stack", title="The namespace is another stack's"):
    """The namespace is another stack's, whose slot, queues and jobs we must not share."""


class QueueFull(
    GenvideoError, code="queue_full", status=503, title="The queue is full", retryable=True
):
    """As many jobs wait for the slot as its semaphore can carry."""


class NotReady(GenvideoError, code="not_ready", status=503, title="Not ready", retryable=True):
    """Something that the service depends on does not answer."""


class Fenced(GenvideoError, code="fenced", title="Another try has taken over", retryable=True):
    """The run has closed, or another try of the activity has begun; this one submits nothing."""


class RecordStands(
    GenvideoError, code="record_stands", title="The job's record takes nothing from this attempt"
):
    """It has ended, is another run's, or has later versions of this run."""


class NotThisRun(GenvideoError, code="not_this_run", title="The order is another run's"):
    """The activity belongs to a run that was reset; what its order names is another run's."""


class Stopped(GenvideoError, code="stopped", title="The activity was stopped", retryable=True):
    """A cancellation stopped it; its details say what it leaves at the vendor."""


class StorageFailed(
    GenvideoError, code="storage_failed", title="The file could not be stored", retryable=True
):
    """Our own disk or a download that may work next time."""


class VendorError(GenvideoError, status=502, title="The vendor call failed"):
    """A call to a vendor that did not go well; its class says what is done about it."""

    failure: ClassVar[FailureClass]
    rule: ClassVar[Rule]

    def __init_subclass__(cls, *, failure: FailureClass, code: str | None = None) -> None:
        cls.failure, cls.rule = failure, RULES[failure]
        super().__init_subclass__(code=code or failure.value, retryable=cls.rule.retried)


class NeverDelivered(VendorError, failure=FailureClass.NEVER_DELIVERED):
    """The request did not leave."""


class RefusedForNow(VendorError, failure=FailureClass.REFUSED_FOR_NOW):
    """The vendor is full or out."""


class RefusedForGood(VendorError, failure=FailureClass.REFUSED_FOR_GOOD):
    """The vendor will never take this."""


class OutcomeUnknown(VendorError, failure=FailureClass.OUTCOME_UNKNOWN):
    """It may have been accepted."""


class GenerationFailed(VendorError, failure=FailureClass.GENERATION_FAILED):
    """An accepted generation ended badly."""


class BadResult(VendorError, code="bad_result", failure=FailureClass.GENERATION_FAILED):
    """The vendor's file is gone, empty, truncated or of another kind: as good as failed."""


class GenerationLost(VendorError, failure=FailureClass.GENERATION_LOST):
    """Accepted, then unknown to the vendor."""


class AttemptTimedOut(
    VendorError, code="attempt_timed_out", failure=FailureClass.GENERATION_FAILED
):
    """It worked for longer than its deadline, and the vendor says that it was stopped."""


class GivenUp(VendorError, failure=FailureClass.GIVEN_UP):
    """Accepted, and no end after a time in which another one would not end either."""


class NeverTold(VendorError, code="never_told", failure=FailureClass.GIVEN_UP):
    """It may have been accepted, and its vendor can't be asked by our id: nobody will know."""


class WrongKind(VendorError, code="wrong_kind", failure=FailureClass.REFUSED_FOR_GOOD):
    """A whole file of another kind than ours; another generation's would be, too."""


class ResultNotAllowed(
    VendorError, code="result_not_allowed", failure=FailureClass.REFUSED_FOR_GOOD
):
    """The vendor's file lies where we fetch nothing from; another generation's would, too."""


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
