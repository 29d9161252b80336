"""Messages between runs, semaphore and operators; a permit names one run and ends with it.

Each field has bounds, because any client of Temporal can send a signal. The reader drops what is
out of bounds, and the semaphore goes on.
"""

from contextlib import suppress
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StringConstraints,
    ValidationError,
    model_validator,
)

DEFAULT_LIMIT, DEFAULT_PRIORITY = 1, 3
# The most that may wait, because a semaphore's state must fit into one payload of 2 MiB.
CAPACITY = 12_000

# Names that a semaphore and its users share across their task queues.
SEMAPHORE_WORKFLOW = "SemaphoreWorkflow"
SEMAPHORE_QUEUE = "semaphore"
REQUEST_SIGNAL = "request"
RELEASE_SIGNAL = "release"
WITHDRAW_SIGNAL = "withdraw"
_SEMAPHORE = "semaphore-"
ASK_ACTIVITY = "ask_semaphore"
CHANGE_UPDATE = "change"
FREE_UPDATE = "free"
VIEW_QUERY = "view"
STATE_QUERY = "state"
# The error of a run that was reset by hand.
RESET = "reset_not_supported"
RESET_MESSAGE = "The run was reset by hand, which is not supported: start it again."
# A requesting run carries a memo of this name for each semaphore. A semaphore without state finds
# runs by it, not by type or id.
MEMO = "semaphore:"


def semaphore_id(name: str) -> str:
    return f"{_SEMAPHORE}{name}"


def name_of(workflow_id: str) -> str:
    return workflow_id.removeprefix(_SEMAPHORE)


def granted_signal(name: str) -> str:
    """Return the name of the signal that brings a run its permit."""
    return f"granted:{name}"


def drain_id(run_id: str) -> str:
    """Return the activity id of a run's drain, by which an operator and the API find it."""
    return f"drain-{run_id}"


def _accepted(name: str) -> str:
    if len(name.encode()) > 1000 or name.startswith("/_sys/"):
        raise ValueError("the server refuses it")
    return name


def _text(longest: int, pattern: str = r"^[^\x00-\x1f\x7f]+$") -> StringConstraints:
    return StringConstraints(min_length=1, max_length=longest, pattern=pattern)


# Temporal takes ids of up to 1000 characters.
WorkflowId = Annotated[str, _text(1000)]
RunId = Annotated[str, _text(100)]
# Without what ends, or alters, a text in a query of the server's listing.
Name = Annotated[str, _text(200, r"^[^\x00-\x1f\x7f'\\]+$")]
Token = Annotated[int, Field(ge=0, lt=2**53)]
Limit = Annotated[int, Field(ge=1, le=1000)]
# With a name that the server refuses no task of the semaphore could complete.
Accepted = Annotated[str, Field(min_length=1), AfterValidator(_accepted)]
# A place that is kept for longer has to be freed by an operator.
YEAR = 366 * 86400
Seconds = Annotated[float, Field(ge=0, le=YEAR)]


class Message(BaseModel):
    """Base of all messages. Unknown fields are ignored, because a newer release may send more."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class RunRef(Message):
    """One run of one workflow."""

    job_id: WorkflowId
    run_id: RunId

    @property
    def run(self) -> "RunRef":
        """Only the run's own fields, without those of a subclass."""
        return RunRef(job_id=self.job_id, run_id=self.run_id)


class Closed(StrEnum):
    """How a run closed. Orderly: its own code ended it after its clean-up. `unknown`: the server
    does not know the run."""

    ORDERLY = "orderly"
    TERMINATED = "terminated"
    TIMED_OUT = "timed_out"
    UNKNOWN = "unknown"


class CleanUp(Message):
    """An activity that clears up after a run that was closed from outside.

    It gets a `Drain`, and returns a `Drained` when nothing of the run acts any more.
    """

    task_queue: Accepted
    activity: Accepted


class Wait(Message):
    """The options of a request, as `Semaphore` explains them."""

    priority: Annotated[int, Field(ge=1, le=5)] = DEFAULT_PRIORITY
    clean_up: CleanUp | None = None
    grace: Seconds | None = None


class SlotRequest(RunRef, Wait):
    """A run's request for a place; the run id is the key, so a repeat counts once."""

    requested_at: AwareDatetime


def valid_requests(values: list[object]) -> list[SlotRequest]:
    """Return the valid requests of a signal, without those that are out of bounds."""
    found = []
    for value in values:
        with suppress(ValidationError):
            found.append(SlotRequest.model_validate(value))
    return found


class Ask(Message):
    """A run's request for a place of a named semaphore; `limit` counts if it does not exist yet."""

    name: Name
    request: SlotRequest
    limit: Limit | None = None


def memo_of(name: str, request: Wait) -> dict[str, object]:
    """Return the memo of a requesting run; given at its start, it costs no event.

    A run that upserts it gives its whole request, because a run that continues as new inherits it.
    """
    return {f"{MEMO}{name}": request.model_dump(mode="json", exclude_none=True)}


class Recall(CleanUp):
    """The activity that tells a semaphore without predecessor which runs may still hold a place.

    It returns `OpenRecords`. `clean_ups`: the clean-up activities by pipeline; a run of another
    pipeline holds no place of this semaphore. `step`: only a run at this stage holds one.
    """

    clean_ups: dict[str, CleanUp]
    step: Name | None = None


class Permit(RunRef):
    """The right to go on; void for any run except `run_id`.

    `token` grows with each grant, and goes along to the resource that the semaphore protects.
    """

    name: Name
    token: Token


class Holder(Message):
    """A run that holds the slot since `since`.

    `drain`: how it closed, if that was not orderly. It is being cleared since `drains_since`, or
    its place is kept until `drains_until`.
    """

    request: SlotRequest
    token: Token
    since: AwareDatetime
    drain: Closed | None = None
    drains_since: AwareDatetime | None = None
    drains_until: AwareDatetime | None = None

    @property
    def run(self) -> RunRef:
        return self.request.run


class Drain(RunRef):
    """Clear the vendors of what a run left: wait for `hold_seconds`, then look.

    `in_doubt`: a submit of the job may be on its way to a vendor, so an empty look-up proves
    nothing yet. `closed`: how the run closed; None if its own code clears up before it ends.
    `since`: when the drain first began, if this one is a repeat.
    """

    hold_seconds: float
    in_doubt: bool = True
    closed: Closed | None = None
    since: AwareDatetime | None = None


class Drained(Message):
    """The result of a drain; the semaphore accepts no other completion."""

    cleared: Literal[True]


class OpenRun(RunRef):
    """A run whose record has begun and not ended."""

    pipeline: Name
    step: Name | None = None


class OpenRecords(Message):
    runs: tuple[OpenRun, ...]


class SemaphoreSettings(Message):
    """Limit and pause, kept across runs of the semaphore."""

    limit: Limit = DEFAULT_LIMIT
    paused: bool = False


class SlotChange(Message):
    """A change of limit, pause, or both."""

    limit: Annotated[int, Field(ge=1, le=1000, strict=True)] | None = None
    paused: StrictBool | None = None

    @model_validator(mode="after")
    def _something_to_change(self) -> Self:
        if self.limit is None and self.paused is None:
            raise ValueError("give limit, paused or both")
        return self


class HolderView(Message):
    """A holder as `GET /slots` shows it.

    `drains_since`: when its drain began. `drains_until`: when a drain ends that only waits for the
    run's activities. `drain_attempts` and `drain_failure`: how often Temporal tried the drain, and
    why the last try failed.
    """

    job_id: str
    run_id: str = ""
    token: int
    since: datetime
    draining: bool
    drains_since: datetime | None = None
    drains_until: datetime | None = None
    drain_attempts: int | None = None
    drain_failure: str | None = None


class SlotView(Message):
    """The answer of `GET /slots`; `waiting` has the first 1000 in order.

    `rebuilding`: the semaphore was ended from outside, and does not know settings, holders and
    waiters yet; until then it grants nothing.
    """

    limit: int
    paused: bool
    holders: tuple[HolderView, ...]
    waiting: tuple[str, ...]
    waiting_count: int
    capacity: int = CAPACITY
    rebuilding: bool = False

    @property
    def is_full(self) -> bool:
        """True if the queue has no room for another run."""
        return self.waiting_count >= self.capacity
