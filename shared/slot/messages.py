"""Messages between the jobs, the semaphore and whoever looks at it; a permit names one run."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, StrictBool, model_validator

from shared.jobs.messages import DEFAULT_PRIORITY, Message

DEFAULT_LIMIT = 1
# The most that may wait: what a semaphore hands on must fit into one payload of 2 MiB.
CAPACITY = 12_000

# Names that the semaphore and the jobs share across two task queues.
SEMAPHORE_WORKFLOW = "SemaphoreWorkflow"
REQUEST_SIGNAL = "request"
RELEASE_SIGNAL = "release"
WITHDRAW_SIGNAL = "withdraw"
SKIP_SIGNAL = "skip"
ON_DECK_SIGNAL = "on_deck"
GRANTED_SIGNAL = "slot_granted"
REFUSED_SIGNAL = "queue_full"
ACQUIRE_UPDATE = "acquire"
CHANGE_UPDATE = "change"
VIEW_QUERY = "view"
UNKNOWN_QUERY = "unknown"
OVERDUE_QUERY = "overdue"
AWAITED_QUERY = "awaited"
# The error by which an older try of a run is refused.
FENCED = "fenced"
DRAIN_ACTIVITY = "drain_job"


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


class RunRef(Message):
    """One run of one job."""

    job_id: str
    run_id: str


class Closed(StrEnum):
    """How a run closed; orderly: the job's own code ended it, and cleaned up before."""

    ORDERLY = "orderly"
    TERMINATED = "terminated"
    TIMED_OUT = "timed_out"


class SlotRequest(Message):
    """A run asks for the slot; the run id is the key, so that a repeat counts once."""

    job_id: str
    run_id: str
    priority: int = DEFAULT_PRIORITY
    requested_at: datetime

    @property
    def run(self) -> RunRef:
        """The run that asks."""
        return RunRef(job_id=self.job_id, run_id=self.run_id)


# Which try it is that asks: stage (0 image, 1 video), generation attempt, try of the activity.
Fence = tuple[int, int, int]
NO_FENCE: Fence = (-1, -1, -1)
# Longer than any job may last; for a holder whose own limit is not known yet.
LONGEST_HOLD_SECONDS = 30 * 86400.0


class Permit(Message):
    """The right to be the running job; void for any other run than `run_id`."""

    gate: Gate = JOB_GATE
    job_id: str
    run_id: str
    token: int

    @property
    def run(self) -> RunRef:
        """The run that it is for."""
        return RunRef(job_id=self.job_id, run_id=self.run_id)


class Acquire(Message):
    """A try of a run's activity asks for the permit, before it submits anything.

    `fence` grows with each later try of the run; one that is lower than one heard before is
    refused. `holds_seconds`: the longest that the run may hold; then the semaphore ends it.
    """

    request: SlotRequest
    fence: Fence
    holds_seconds: float = LONGEST_HOLD_SECONDS


class Answer(Message):
    """The answer to `acquire`: the permit and when it was given, by the server's clock.

    `first`: no earlier try of this generation was ever answered so, and none can have submitted
    it. Without a permit the run's turn has not come: `again` says to ask once more at once, since
    the semaphore begins a new run; otherwise the run is told when it is next.
    """

    at: datetime
    permit: Permit | None = None
    first: bool = False
    again: bool = False


class Release(Message):
    """A run has passed a gate; counts for the permit that this very run holds, and once."""

    run_id: str
    token: int


class Holder(Message):
    """Who holds the slot, since when; `draining` from an abnormal close to a clear vendor.

    `drains_since`: when that close became known. `fence`: the highest heard. `began`: the first of
    that generation that was answered yes.
    """

    request: SlotRequest
    token: int
    since: datetime
    draining: bool = False
    drains_since: datetime | None = None
    fence: Fence = NO_FENCE
    began: Fence = NO_FENCE
    holds_seconds: float = LONGEST_HOLD_SECONDS

    @property
    def run(self) -> RunRef:
        return self.request.run

    @property
    def ends_at(self) -> datetime:
        """From when on it has outlived its limit."""
        return self.since + timedelta(seconds=self.holds_seconds)


class Drain(Message):
    """Clean up after a job: wait first, then clear the vendors.

    `in_doubt`: a submit of the job may still be on its way to a vendor, so that a look-up which
    finds nothing proves nothing yet. `close_code`: the job was closed from outside. `since`: when
    the clean-up was begun at first, where a semaphore's next run begins it again.
    """

    job_id: str
    run_id: str
    hold_seconds: float
    in_doubt: bool = True
    close_code: str | None = None
    since: datetime | None = None


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


class HolderView(Message):
    """A holder as `GET /slots` shows it."""

    job_id: str
    token: int
    since: datetime
    draining: bool


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
