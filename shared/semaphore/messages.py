"""Messages between jobs, semaphore and operators; a permit names one run and ends with it.

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

# Names that the semaphore and the jobs share across two task queues.
SEMAPHORE_WORKFLOW = "SemaphoreWorkflow"
SEMAPHORE_QUEUE = "semaphore"
REQUEST_SIGNAL = "request"
RELEASE_SIGNAL = "release"
WITHDRAW_SIGNAL = "withdraw"
GRANTED_SIGNAL = "slot_granted"
REFUSED_SIGNAL = "queue_full"
CHANGE_UPDATE = "change"
FREE_UPDATE = "free"
VIEW_QUERY = "view"
UNKNOWN_QUERY = "unknown"
DRAIN_ACTIVITY = "drain_job"
OPEN_RECORDS_ACTIVITY = "open_records"


class Gate(StrEnum):
    """What a job passes: `job` from its grant to its close, the others during one stage."""

    JOB = "job"
    IMAGE = "image"
    VIDEO = "video"


JOB_GATE = Gate.JOB
# Off unless a worker's settings say otherwise.
STAGE_GATES = (Gate.IMAGE, Gate.VIDEO)

_SEMAPHORE = "semaphore-"


def semaphore_id(gate: str) -> str:
    """The workflow id of a gate's semaphore."""
    return f"{_SEMAPHORE}{gate}"


def gate_of(workflow_id: str) -> Gate:
    """The gate that a semaphore of this id keeps."""
    return Gate(workflow_id.removeprefix(_SEMAPHORE))


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
Token = Annotated[int, Field(ge=0, lt=2**53)]
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


class SlotRequest(RunRef):
    """A run asks for the slot; the run id is the key, so that a repeat counts once."""

    priority: Annotated[int, Field(ge=1, le=5)] = DEFAULT_PRIORITY
    requested_at: Moment

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


class Permit(RunRef):
    """The right to be the running job; void for any other run than `run_id`.

    `token`: grows with each grant, and goes along to the vendors and into the records.
    """

    gate: Gate = JOB_GATE
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
    and what it left at the vendors is being cleared since `drains_since`."""

    request: SlotRequest
    token: Token
    since: Moment
    drain: Closed | None = None
    drains_since: Moment | None = None

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

    limit: Annotated[int, Field(ge=1, le=1000)] = DEFAULT_LIMIT
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

    `drains_since`: when its drain began. `drain_attempts`, `drain_failure`: how often the drain was
    tried, and why the last try failed, as Temporal tells; the API adds them.
    """

    job_id: str
    run_id: str = ""
    token: int
    since: datetime
    draining: bool
    drains_since: datetime | None = None
    drain_attempts: int | None = None
    drain_failure: str | None = None


class SlotView(Message):
    """The answer of `GET /slots`; `waiting` holds the first 1000 in the order of their turn."""

    limit: int
    paused: bool
    holders: tuple[HolderView, ...]
    waiting: tuple[str, ...]
    waiting_count: int
    capacity: int = CAPACITY

    @property
    def is_full(self) -> bool:
        """Whether a new request would be refused."""
        return self.waiting_count >= self.capacity
