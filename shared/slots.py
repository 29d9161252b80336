"""Messages between the jobs, the slot's keeper and whoever looks at it; a permit names one run."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, StrictBool, model_validator

from shared.messages import DEFAULT_PRIORITY, Message

DEFAULT_LIMIT = 1
# The most that may wait: what a keeper hands on must fit into one payload of 2 MiB.
CAPACITY = 12_000

# Names that the keeper and the jobs share across two task queues.
KEEPER_WORKFLOW = "SlotKeeperWorkflow"
REQUEST_SIGNAL = "request"
RELEASE_SIGNAL = "release"
WITHDRAW_SIGNAL = "withdraw"
DISARMED_SIGNAL = "disarmed"
GRANTED_SIGNAL = "slot_granted"
REFUSED_SIGNAL = "queue_full"
DISARM_SIGNAL = "disarm"
BEGUN_SIGNAL = "begun"
CHANGE_UPDATE = "change"
VIEW_QUERY = "view"
DRAIN_ACTIVITY = "drain_job"


class Gate(StrEnum):
    """What a job passes: `job` from its grant to its close, the others during one stage."""

    JOB = "job"
    IMAGE = "image"
    VIDEO = "video"

    @property
    def arms(self) -> bool:
        """Whether the next one is told in advance; worth its care where it saves a hop a job."""
        return self is Gate.JOB


JOB_GATE = Gate.JOB
# Off unless a worker's settings say otherwise.
STAGE_GATES = (Gate.IMAGE, Gate.VIDEO)

_KEEPER = "slot-keeper-"


def keeper_id(gate: str) -> str:
    """The workflow id of a gate's keeper."""
    return f"{_KEEPER}{gate}"


def gate_of(workflow_id: str) -> Gate:
    """The gate that a keeper of this id keeps."""
    return Gate(workflow_id.removeprefix(_KEEPER))


class RunRef(Message):
    """One run of one job."""

    job_id: str
    run_id: str


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


class Permit(Message):
    """The right to be the running job; void for any other run than `run_id`.

    With `after` it is an armed one: valid from the moment that run has closed in an orderly way.
    `round` counts how often a permit of this token was changed; an older round changes nothing.
    """

    gate: Gate = JOB_GATE
    job_id: str
    run_id: str
    token: int
    round: int = 0
    after: RunRef | None = None

    @property
    def run(self) -> RunRef:
        """The run that it is for."""
        return RunRef(job_id=self.job_id, run_id=self.run_id)

    @property
    def order(self) -> tuple[int, int]:
        """Larger for each later permit of a run."""
        return self.token, self.round


class Release(Message):
    """A run has passed a gate; counts for the permit that this very run holds, and once."""

    run_id: str
    token: int


class Holder(Message):
    """Who holds the slot, since when; `draining` from an abnormal close to a clear vendor."""

    request: SlotRequest
    token: int
    round: int = 0
    since: datetime
    draining: bool = False

    @property
    def run(self) -> RunRef:
        return self.request.run


class Armed(Message):
    """Who comes next, and behind which run; `disarming` since it was asked to stand down."""

    holder: Holder
    behind: RunRef
    disarming: bool = False


class Drain(Message):
    """Clean up after a job that was closed from outside: wait first, then clear the vendors."""

    job_id: str
    run_id: str
    hold_seconds: float
    close_code: str | None = None


class KeeperSettings(Message):
    """Limit and pause, kept across runs of the keeper."""

    limit: Annotated[int, Field(ge=1, le=1000)] = DEFAULT_LIMIT
    paused: bool = False


class SlotChange(Message):
    """The body of `PUT /slots`."""

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
