"""What the simulated server keeps of each run: its history, and what of it is under way."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, Self

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowExecutionStatus

if TYPE_CHECKING:
    from tests.simulation.worker import Worker


# Events that wake a workflow; all others only tell what it has done itself.
NEWS = frozenset(
    {
        "started",
        "signaled",
        "cancel_requested",
        "activity_completed",
        "activity_failed",
        "activity_timed_out",
        "activity_canceled",
        "timer_fired",
        "external_signaled",
        "external_signal_failed",
        "was_reset",
    }
)


@dataclass(slots=True)
class Event:
    """One event; `data` holds what its kind needs."""

    number: int
    at: float
    kind: str
    data: dict[str, Any]


@dataclass(slots=True)
class Marker:
    """What a local activity came to; `activation`: which one of its task told the workflow."""

    seq: int
    at: float
    payload: Payload | None
    failure: Any = None
    activation: int = 0


@dataclass(slots=True)
class TaskRecord:
    """A workflow task that the server took: what it saw, and what came of it.

    `seen`: how many events there were when it began; `keys`: the commands, in a form that a replay
    can be compared with.
    """

    seen: int
    at: float
    keys: list[str]
    markers: list[Marker]
    flags: frozenset[int]
    updates: list[tuple[str, str, Payloads]] = field(default_factory=list)
    # When the server took it.
    done: float = 0.0


def timestamp(at: float) -> Timestamp:
    """A moment as protobuf has it, to the microsecond."""
    micros = round(at * 1e6)
    return Timestamp(seconds=micros // 1_000_000, nanos=micros % 1_000_000 * 1000)


def to_proto(event: Event) -> HistoryEvent:
    """The event as the semaphore reads it, when it rebuilds; other kinds are empty."""
    proto = HistoryEvent(event_id=event.number, event_time=timestamp(event.at))
    data = event.data
    match event.kind:
        case "started":
            proto.event_type = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED
            started = proto.workflow_execution_started_event_attributes
            started.input.CopyFrom(data["args"])
            started.original_execution_run_id = data["run_id"]
        case "signaled":
            proto.event_type = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED
            signal = proto.workflow_execution_signaled_event_attributes
            signal.signal_name = data["name"]
            signal.input.CopyFrom(data["args"])
        case "activity_scheduled":
            proto.event_type = EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED
            scheduled = proto.activity_task_scheduled_event_attributes
            scheduled.activity_type.name = data["type"]
            scheduled.input.payloads.extend(data["args"])
        case "activity_completed":
            proto.event_type = EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED
            completed = proto.activity_task_completed_event_attributes
            completed.scheduled_event_id = data["scheduled"]
            if data["result"] is not None:
                completed.result.payloads.append(data["result"])
        case "external_signal_initiated":
            proto.event_type = EventType.EVENT_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED
            said = proto.signal_external_workflow_execution_initiated_event_attributes
            said.workflow_execution.workflow_id = data["workflow_id"]
            said.workflow_execution.run_id = data["run_id"]
            said.signal_name = data["name"]
            said.input.payloads.extend(data["args"])
        case closed if closed.startswith("closed:"):
            end = closed.removeprefix("closed:")
            proto.event_type = EventType.Value(f"EVENT_TYPE_WORKFLOW_EXECUTION_{end}")
    return proto


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
    # By an operator: its tries were reset, are to be, and are to lose their heartbeat details.
    was_reset: bool = False
    resets: bool = False
    clears: bool = False
    paused: bool = False
    ended: bool = False

    @classmethod
    def of(cls, run: "Run", wanted: Any, *, at: float, **others: Any) -> Self:
        """As a workflow's command wants it; `others`: other fields."""
        return cls(
            run=run,
            seq=wanted.seq,
            activity_id=wanted.activity_id,
            type=wanted.activity_type,
            args=list(wanted.arguments),
            policy=wanted.retry_policy,
            start_to_close=wanted.start_to_close_timeout.ToNanoseconds() / 1e9,
            at=at,
            **others,
        )


class UpdateState(Enum):
    """How far an update has come."""

    ADMITTED = auto()
    SENT = auto()
    ACCEPTED = auto()
    ENDED = auto()


@dataclass(slots=True, eq=False)
class Update:
    """An operator's update; `tell` is called once, with whether it was done."""

    update_id: str
    name: str
    args: Payloads
    tell: Callable[[bool], None] = lambda done: None
    state: UpdateState = UpdateState.ADMITTED

    def end(self, *, done: bool) -> None:
        """It is answered, or will never be."""
        self.state = UpdateState.ENDED
        self.tell(done)


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
        event = Event(len(self.events) + 1, at, kind, data)
        self.events.append(event)
        return event

    def end(self, status: Status) -> None:
        """Whatever was under way for it is void."""
        self.status, self.task = status, None
        for activity in self.activities.values():
            activity.ended = True
        self.activities.clear()
        self.timers.clear()

    def has_news(self) -> bool:
        if any(event.kind in NEWS for event in self.events[self.seen :]):
            return True
        return any(update.state is UpdateState.ADMITTED for update in self.updates.values())
