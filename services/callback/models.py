"""What the vendor sends, what is noted of it, and the fate that follows; no token is in any."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated, NamedTuple

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from pydantic_core import from_json

from shared.errors import GenvideoError
from shared.jobs.messages import Attempts, Message, StageDone
from shared.jobs.states import Status
from shared.redact import redacted

VendorId = Annotated[
    str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")
]


class NotKept(
    GenvideoError,
    code="not_kept",
    status=503,
    title="The callback could not be kept",
    retryable=True,
):
    """The store does not take its receipt, or has too many of its job."""


class TaskStatus(StrEnum):
    """The vendor's four states; the last two are ends."""

    SUBMITTED = "submitted"
    PROCESSING = "processing"
    SUCCEED = "succeed"
    FAILED = "failed"

    @property
    def ended(self) -> bool:
        return self in (TaskStatus.SUCCEED, TaskStatus.FAILED)


class Fate(StrEnum):
    """What became of a callback."""

    APPLIED = "applied"
    DUPLICATE = "duplicate"
    LATE = "late"
    EARLY = "early"
    OUT_OF_ORDER = "out_of_order"
    REJECTED = "rejected"
    UNKNOWN = "unknown"


# The same event again is a duplicate of one with these fates.
SETTLED = frozenset({Fate.APPLIED, Fate.EARLY, Fate.LATE, Fate.OUT_OF_ORDER})
# The workflow gets these, if it runs.
TOLD = frozenset({Fate.APPLIED, Fate.EARLY})


class _Vendor(BaseModel):
    """The vendor may add fields at any time."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class TaskInfo(_Vendor):
    """Our id of the task, as the vendor gives it back."""

    external_task_id: VendorId | None = None


class Callback(_Vendor):
    """The vendor's body; `updated_at` in ms since 1970."""

    task_id: VendorId
    task_status: TaskStatus
    updated_at: Annotated[int, Field(ge=0, lt=2**63)] | None = None
    task_status_msg: str | None = None
    task_info: TaskInfo | None = None

    def names_another(self, external_id: str) -> bool:
        """Whether the body names a task of ours that is not this one."""
        named = self.task_info.external_task_id if self.task_info else None
        return named is not None and named != external_id

    def done(self, external_id: str) -> StageDone:
        """The signal to the workflow."""
        return StageDone(
            external_id=external_id,
            task_id=self.task_id,
            task_status=self.task_status,
            updated_at=self.updated_at or 0,
            message=redacted(self.task_status_msg or ""),
        )


def parse(raw: bytes) -> Callback:
    """The callback in a body, flat or enveloped; RequestValidationError names each wrong field."""
    try:
        body = from_json(raw)
    except ValueError as error:
        mistake = {"type": "json_invalid", "loc": ("body",), "ctx": {"error": str(error)}}
        raise RequestValidationError([mistake]) from error
    # `{code, message, request_id, data}` in some copies of the vendor's documentation.
    if isinstance(body, dict) and "task_id" not in body and isinstance(body.get("data"), dict):
        body = body["data"]
    try:
        return Callback.model_validate(body)
    except ValidationError as error:
        found = error.errors(include_input=False, include_url=False)
        raise RequestValidationError(
            [{**item, "loc": ("body", *item["loc"])} for item in found]
        ) from error


class Receipt(Message):
    """One callback as it was noted; `task_id` is null where the body was not looked at.

    `decided` is false while its fate is being found out, and for good if the receiver was killed
    meanwhile: then its fate is `unknown`.
    """

    received_at: datetime
    job_id: str
    task_id: str | None = None
    task_status: TaskStatus | None = None
    fate: Fate = Fate.UNKNOWN
    external_id: str
    updated_at: int | None = None
    decided: bool = False


class JobView(BaseModel):
    """What a fate depends on of a job's record."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    job_id: str
    status: Status
    attempts: Attempts
    # The vendor's id of each task by our id.
    tasks: dict[str, str] = {}


class Decision(NamedTuple):
    """A fate by what is on record; `signal`: the workflow gets the event if it is an end."""

    fate: Fate
    signal: bool


def decide(
    callback: Callback, external_id: str, *, job: JobView | None, past: Sequence[Receipt]
) -> Decision:
    """The fate of a callback for this task of ours; the first reason that holds decides.

    `past` are the receipts of the job that count: those with a settled fate, and those that another
    receiver is still deciding on. If that one dies, nobody has signalled: so this one does, and one
    signal too many changes nothing. `applied` and `early` may turn into `late` or `unknown` by
    Temporal's word.
    """
    tasks = {} if job is None else job.tasks
    _, stage, number = external_id.split(".")
    attempt = int(number)
    if callback.names_another(external_id) or any(
        kept == callback.task_id and ours != external_id for ours, kept in tasks.items()
    ):
        return Decision(Fate.REJECTED, signal=False)
    before = [each for each in past if each.task_id == callback.task_id]
    undecided = not all(each.decided for each in before)
    if any(_repeats(callback, each) for each in before):
        return Decision(Fate.DUPLICATE, signal=undecided)
    if job is not None and (job.status.ended or job.attempts.get(stage, 0) > attempt):
        return Decision(Fate.LATE, signal=False)
    if any(_is_older(callback, each) for each in before):
        return Decision(Fate.OUT_OF_ORDER, signal=undecided)
    known = tasks.get(external_id)
    if known is None:
        return Decision(Fate.EARLY, signal=True)
    if known != callback.task_id:
        return Decision(Fate.UNKNOWN, signal=False)
    return Decision(Fate.APPLIED, signal=True)


def _repeats(callback: Callback, receipt: Receipt) -> bool:
    same = (receipt.task_status, receipt.updated_at)
    return (callback.task_status, callback.updated_at) == same


def _is_older(callback: Callback, receipt: Receipt) -> bool:
    """An end absorbs whatever comes after it; else the vendor's own time decides."""
    if receipt.task_status is not None and receipt.task_status.ended:
        return True
    if callback.updated_at is None or receipt.updated_at is None:
        return False
    return callback.updated_at < receipt.updated_at
