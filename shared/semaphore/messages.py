"""Messages between runs, semaphore and operators; a permit names one run and ends with it.

Each field has bounds, because anybody who reaches Temporal can send a signal: what is out of bounds
is dropped where it is read, and the semaphore goes on.
"""

from contextlib import suppress
from datetime import UTC, datetime
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
# The most that may wait: what a semaphore hands on must fit into one payload of 2 MiB.
CAPACITY = 12_000

# Names that a semaphore and those who use it share across their task queues.
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
UNKNOWN_QUERY = "unknown"
# A run that asks, or has asked, carries a memo of this name for each semaphore: by it, and not by
# its type or id, a semaphore without a memory finds it.
MEMO = "semaphore:"


def semaphore_id(name: str) -> str:
    """The workflow id of a semaphore."""
    return f"{_SEMAPHORE}{name}"


def name_of(workflow_id: str) -> str:
    """The name of the semaphore of this id."""
    return workflow_id.removeprefix(_SEMAPHORE)


def granted_signal(name: str) -> str:
    """The signal that brings a run its permit."""
    return f"granted:{name}"


def refused_signal(name: str) -> str:
    """The signal that tells a run how many wait already, and that it may not."""
    return f"refused:{name}"


def drain_id(run_id: str) -> str:
    """The activity id of a run's drain, so that an operator and the API find it by the run."""
    return f"drain-{run_id}"


# Later than any clock that is right; earlier than this project.
_EARLIEST = datetime(2020, 1, 1, tzinfo=UTC)
_LATEST = datetime(2200, 1, 1, tzinfo=UTC)


def _in_our_time(moment: datetime) -> datetime:
    if not _EARLIEST <= moment <= _LATEST:
        raise ValueError("it lies outside of the years 2020 to 2200")
    return moment


# Temporal takes ids of up to 1000 characters.
WorkflowId = Annotated[
    str, StringConstraints(min_length=1, max_length=1000, pattern=r"^[^\x00-\x1f\x7f]+$")
]
RunId = Annotated[
    str, StringConstraints(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$")
]
Name = Annotated[
    str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f']+$")
]
Token = Annotated[int, Field(ge=0, lt=2**53)]
Limit = Annotated[int, Field(ge=1, le=1000)]
# A place that is kept for longer than a year is kept for ever: an operator frees it.
Seconds = Annotated[float, Field(ge=0, le=366 * 86400)]
Moment = Annotated[AwareDatetime, AfterValidator(_in_our_time)]


class Message(BaseModel):
    """Base of all messages. A newer release may say more: what we don't know is not read."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class RunRef(Message):
    """One run of one workflow."""

    job_id: WorkflowId
    run_id: RunId


class Closed(StrEnum):
    """How a run closed; orderly: its own code ended it, and cleaned up before.

    `unknown`: the server does not know the run, or does not know it any more.
    """

    ORDERLY = "orderly"
    TERMINATED = "terminated"
    TIMED_OUT = "timed_out"
    UNKNOWN = "unknown"


class CleanUp(Message):
    """An activity that clears up after a run that was closed from outside; it gets a `Drain`, and
    returns a `Drained` when nothing of the run acts any more."""

    task_queue: Annotated[str, StringConstraints(min_length=1, max_length=1000)]
    activity: Annotated[str, StringConstraints(min_length=1, max_length=1000)]


class Wait(Message):
    """What a run asks for beside the place itself.

    `clean_up`: or none. Without one its place is kept for `grace` seconds after it was closed from
    outside, or closed while an activity of it ran; None: for as long as the time-outs of its
    activities allow them to run on.
    """

    priority: Annotated[int, Field(ge=1, le=5)] = DEFAULT_PRIORITY
    clean_up: CleanUp | None = None
    grace: Seconds | None = None


class SlotRequest(RunRef, Wait):
    """A run asks for a place; the run id is the key, so that a repeat counts once."""

    requested_at: Moment

    @property
    def wait(self) -> Wait:
        """What it asks for."""
        return Wait(priority=self.priority, clean_up=self.clean_up, grace=self.grace)

    @property
    def run(self) -> RunRef:
        """The run that asks."""
        return RunRef(job_id=self.job_id, run_id=self.run_id)


def fitting_requests(values: list[object]) -> list[SlotRequest]:
    """The requests among what a signal carries, without those that are out of bounds."""
    found = []
    for value in values:
        with suppress(ValidationError):
            found.append(SlotRequest.model_validate(value))
    return found


class Ask(Message):
    """A run asks the semaphore of a name; `limit`: of one that is not there yet."""

    name: Name
    request: SlotRequest
    limit: Limit | None = None


class Mark(Wait):
    """The memo of a run that asks. `run_id`: who asks, where the run itself says so, because a run
    that continues as new hands on its memo; None where it is started with it."""

    run_id: RunId | None = None
    requested_at: Moment | None = None


def memo_of(name: str, mark: Wait) -> dict[str, object]:
    """The memo of a run that asks; given at its start, it costs no event."""
    return {f"{MEMO}{name}": mark.model_dump(mode="json", exclude_none=True)}


class Recall(CleanUp):
    """Where a semaphore that nobody remembers asks for runs that may still hold a place: an
    activity that returns `OpenRecords`. `drain`: what clears up after them, in the same queue."""

    drain: str


class Permit(RunRef):
    """The right to go on; void for any other run than `run_id`.

    `token`: grows with each grant, and goes along to whatever it protects.
    """

    name: Name
    token: Token

    @property
    def run(self) -> RunRef:
        """The run that it is for."""
        return RunRef(job_id=self.job_id, run_id=self.run_id)


class Release(Message):
    """A run has passed a gate; counts for the permit that this very run holds, and once."""

    run_id: RunId
    token: Token


class Holder(Message):
    """A run that holds the slot, since when; `drain`: it closed in this way, which is not orderly,
    and what it left is being cleared since `drains_since`, or waited for until `drains_until`."""

    request: SlotRequest
    token: Token
    since: Moment
    drain: Closed | None = None
    drains_since: Moment | None = None
    drains_until: Moment | None = None

    @property
    def run(self) -> RunRef:
        """The run that holds."""
        return self.request.run


class Drain(Message):
    """Clear the vendors of what a run left: wait for `hold_seconds` first, then look.

    `in_doubt`: a submit of the job may still be on its way to a vendor, so that a look-up which
    finds nothing proves nothing yet. `closed`: how the run closed; None where its own code clears
    up before it ends. `since`: when the drain began at first, where it is begun again.
    """

    job_id: WorkflowId
    run_id: RunId
    hold_seconds: float
    in_doubt: bool = True
    closed: Closed | None = None
    since: Moment | None = None


class Drained(Message):
    """The result of a drain; the semaphore believes no other completion of it."""

    cleared: Literal[True]


class OpenRecords(Message):
    """The runs of records that have begun and have no end."""

    runs: tuple[RunRef, ...] = ()


class SemaphoreSettings(Message):
    """Limit and pause, kept across runs of the semaphore."""

    limit: Limit = DEFAULT_LIMIT
    paused: bool = False


class SlotChange(Message):
    """What is to be set: limit, pause, or both."""

    limit: Annotated[int, Field(ge=1, le=1000, strict=True)] | None = None
    paused: StrictBool | None = None

    @model_validator(mode="after")
    def _something_to_change(self) -> Self:
        if self.limit is None and self.paused is None:
            raise ValueError("give limit, paused or both")
        return self


class SlotFree(Message):
    """An operator gives up a drain that cannot end: the place of `run_id` is free at once."""

    run_id: RunId


class HolderView(Message):
    """A holder as `GET /slots` shows it.

    `drains_since`: when its drain began; `drains_until`: when it ends, of one that is a wait alone,
    for what the run's activities may still do. `drain_attempts`, `drain_failure`: how often the
    drain was tried, and why the last try failed, as Temporal tells.
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
    """The answer of `GET /slots`; `waiting` holds the first 1000 in the order of their turn.

    `rebuilding`: it was ended from outside, and does not know yet what was set, who holds and who
    waits; nothing is granted until it does.
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
        """Whether a new request would be refused."""
        return self.waiting_count >= self.capacity
