"""What the simulated server knows of one run of one workflow."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

from temporalio.api.common.v1 import Payload, Payloads
from temporalio.api.failure.v1 import Failure
from temporalio.client import WorkflowExecutionStatus

from tests.simulation.history import NEWS, Event, TaskRecord

if TYPE_CHECKING:
    from tests.simulation.worker import Worker

Status = WorkflowExecutionStatus


class Reset(Exception):
    """The run has no such point to go back to."""


@dataclass(slots=True, eq=False)
class Task:
    """A workflow task; `started`: how many events it was given."""

    number: int
    attempt: int = 1
    # When this try of it was scheduled, and when the first one was.
    scheduled: float = 0.0
    first_scheduled: float = 0.0
    started: int | None = None
    began: float = 0.0
    worker: "Worker | None" = None
    updates: list["Update"] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class Try:
    """One try of an activity, and what its worker's heartbeats said."""

    attempt: int
    began: float
    heard: float
    worker: "Worker"


@dataclass(slots=True, eq=False)
class Activity:
    """An activity that has been scheduled and has not ended."""

    run: "Run"
    seq: int
    activity_id: str
    scheduled: int
    type: str
    queue: str
    args: list[Payload]
    policy: Any
    start_to_close: float
    heartbeat: float
    at: float
    attempt: int = 1
    details: tuple[Any, ...] = ()
    trying: Try | None = None
    cancel_requested: bool = False
    # By an operator: its tries were counted anew, are to be, and are to forget what was told.
    was_reset: bool = False
    resets: bool = False
    clears: bool = False
    paused: bool = False
    ended: bool = False


class UpdateState(Enum):
    """How far an update has come."""

    ADMITTED = auto()
    SENT = auto()
    ACCEPTED = auto()
    ENDED = auto()


@dataclass(slots=True, eq=False)
class Update:
    """An update, and whoever waits for its outcome: a payload, a failure, or an RPC's error."""

    update_id: str
    name: str
    args: Payloads
    any_run: bool
    state: UpdateState = UpdateState.ADMITTED
    accepted: int = 0
    outcome: tuple[Payload | None, Failure | None] | None = None
    refused: str | None = None
    waiting: list[Callable[[], None]] = field(default_factory=list)

    def end(
        self,
        *,
        result: Payload | None = None,
        failure: Failure | None = None,
        refused: str | None = None,
    ) -> None:
        """Tell everybody who waits."""
        self.state = UpdateState.ENDED
        self.outcome = (result, failure)
        self.refused = refused
        waiting, self.waiting = self.waiting, []
        for tell in waiting:
            tell()


@dataclass(slots=True, eq=False)
class Run:
    """One run: its history, and what of it is under way."""

    workflow_id: str
    run_id: str
    type: str
    queue: str
    args: Payloads
    began: float
    first_run_id: str
    original_run_id: str
    task_timeout: float
    seed: int
    run_timeout: float = 0.0
    continued_from: str = ""
    status: Status = Status.RUNNING
    closed_at: float | None = None
    events: list[Event] = field(default_factory=list)
    records: list[TaskRecord] = field(default_factory=list)
    buffered: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    task: Task | None = None
    tasks: int = 0
    sticky: "Worker | None" = None
    activities: dict[int, Activity] = field(default_factory=dict)
    timers: dict[int, float] = field(default_factory=dict)
    updates: dict[str, Update] = field(default_factory=dict)
    memo: dict[str, Payload] = field(default_factory=dict)
    waiting: list[Callable[[], None]] = field(default_factory=list)
    failures: int = 0
    failure: Failure | None = None
    # When this very run was made: a reset takes the old run's beginning over.
    made_at: float = 0.0
    lag: float | None = None
    heard: set[str] = field(default_factory=set)
    # The server has no memory of it.
    deleted: bool = False

    @property
    def is_open(self) -> bool:
        return self.status is Status.RUNNING

    @property
    def seen(self) -> int:
        """How many events the last workflow task that was taken had before it."""
        return self.records[-1].seen if self.records else 0

    def write(self, at: float, kind: str, **data: Any) -> Event:
        """Append an event."""
        event = Event(len(self.events) + 1, at, kind, data)
        self.events.append(event)
        return event

    def has_news(self) -> bool:
        """Whether a workflow task would have something to tell."""
        if any(event.kind in NEWS for event in self.events[self.seen :]):
            return True
        return any(update.state is UpdateState.ADMITTED for update in self.updates.values())
