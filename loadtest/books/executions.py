"""One run in Temporal, as its history has it: orders, results, permits, signals and versions."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

Row = dict[str, Any]
PERMIT, PROGRESS = "granted:job", "report_progress"
"""The slot's permit, and an activity's report."""
DRAIN = "drain_job"
"""The activity that clears a job's vendors after its end."""
GRANTED, SLOT = "granted:", "job"
"""How the permits of all gates are named, and the gate that each job passes."""


class Signal(NamedTuple):
    """A signal as the server took it."""

    name: str
    at: float
    body: Row
    sender: str

    @property
    def change(self) -> tuple[str, str]:
        """The task, and the change of it, that a callback's signal tells."""
        return str(self.body.get("task_id")), str(self.body.get("task_status"))


class Written(NamedTuple):
    """A version of the record, and when it was so: as its workflow task began, or as the local
    activity before it in that task was done."""

    version: int
    note: str
    since: float
    """A slow local activity outlasts workflow tasks: the first of them has the version's time."""
    at: float


class Numbered(NamedTuple):
    """An event by the number that the server gave it; `at_once`: the instant of such an event is
    that of its number, which others get late."""

    number: int
    at: float
    at_once: bool


class Order(NamedTuple):
    """An attempt that the workflow ordered of a stage, with our id of it."""

    external_id: str
    step: str
    attempt: int
    token: int | None
    at: float
    task: int


class Timer(NamedTuple):
    """A wait of the workflow, as it names it."""

    summary: str
    at: float
    seconds: float


@dataclass(slots=True)
class Activity:
    """An activity by the events of its life; of its tries the history keeps the last one."""

    job_id: str
    kind: str
    body: Row
    scheduled: float
    task: int
    started: float | None = None
    ended: float | None = None
    attempt: int = 0
    pause: float = 0.0
    """The least seconds between two of its tries."""
    heartbeat: float = 0.0
    """The seconds without a heartbeat after which another worker takes it over; 0 is never."""
    most: int = 0
    """The tries that it may have; 0 is any number."""
    silence: float = 0.0
    """The seconds without a heartbeat after which the try before the last one failed, if it did."""
    repeated_for: str = ""
    """Why the try before the last one failed."""
    outcome: str = "open"
    error_class: str | None = None
    error_message: str | None = None
    result: Row = field(default_factory=dict)

    @property
    def order(self) -> Row:
        """The order that it carries out, or waits for."""
        return self.body.get("order") or self.body

    @property
    def stage(self) -> str:
        return str(self.order.get("stage"))

    @property
    def external_id(self) -> str:
        """Our id of that attempt."""
        return f"{self.job_id}.{self.stage}.{self.order.get('attempt')}"

    @property
    def limits(self) -> Row:
        limits = self.order.get("limits")
        return limits if isinstance(limits, dict) else {}

    @property
    def awaited(self) -> str:
        """The vendor's id of the task that it waits for."""
        return task_of(self.body.get("accepted") or {})


@dataclass(slots=True)
class Execution:
    """One run in Temporal; `problem` where its file can't be read or lacks events."""

    job_id: str
    run_id: str = ""
    problem: str | None = None
    kind: str = ""
    body: Row = field(default_factory=dict)
    tag: str | None = None
    memo: Row = field(default_factory=dict)
    """What the semaphore was asked for."""
    status: str = "RUNNING"
    started: float | None = None
    closed: float | None = None
    cancelled: float | None = None
    """When it was first asked to end."""
    heard: float | None = None
    """When the semaphore had the request, at the latest: as the server took the task's result."""
    granted: float | None = None
    granted_by: str = ""
    """The process that sent the permit, as `pid@host`."""
    token: int | None = None
    limits: Row = field(default_factory=dict)
    """The limits that it was given with its place in the queue: of the job, and of each stage."""
    started_by: str = ""
    timeout: float = 0.0
    """The seconds after which the server ends it; 0 is never."""
    progress: list[int] = field(default_factory=list)
    """What the search attribute CustomProgress was set to, in that order."""
    result: Row = field(default_factory=dict)
    failure: tuple[str, str] | None = None
    signals: list[Signal] = field(default_factory=list)
    releases: list[Signal] = field(default_factory=list)
    """The permits that it gave back before its close."""
    activities: list[Activity] = field(default_factory=list)
    timers: list[Timer] = field(default_factory=list)
    orders: list[Order] = field(default_factory=list)
    results: list[Row] = field(default_factory=list)
    versions: list[Written] = field(default_factory=list)
    numbers: list[Numbered] = field(default_factory=list)
    """Its events as the server counts the steps of all runs; empty where it does not say."""
    commands: dict[str, list[str]] = field(default_factory=dict)
    """What its workflow commanded in each of its tasks, in that order."""
    room: int | None = None
    """The least steps from a task for a known worker to the next event: each such task takes steps
    of its own."""
    events: int = 0
    workflow_tasks: int = 0
    discarded: int = 0
    """Workflow tasks whose work the server discarded: they had come too late, or failed."""
    untaken: list[float] = field(default_factory=list)
    """When its worker had not taken a workflow task in time, and another one was to take it."""
    causes: list[str] = field(default_factory=list)
    """Why each of those failed that had failed."""
    timeouts: list[tuple[float, float]] = field(default_factory=list)
    """How long each of those lasted that had come too late, and the time that it was given."""
    bytes: int = 0
    off: set[float] = field(default_factory=set)
    """By how many bytes the server's counts are off its events, where the history was weighed."""
    clients: set[str] = field(default_factory=set)
    """Processes that wrote to it, as `pid-start@host`; `start` differs for each start."""
    taken: list[tuple[str, float]] = field(default_factory=list)
    """Of them, those that took a task of it, and when: of the workflow, or an order of a stage."""
    sdks: set[str] = field(default_factory=set)
    """The versions of the SDK that its workflow tasks name."""
    queues: list[tuple[str, str]] = field(default_factory=list)
    """Each process that had the run in its cache, and the sticky queue of its next task."""
    strayed: list[tuple[str, float]] = field(default_factory=list)
    """Each of them whose sticky queue's task another process took, and when."""
    hops: list[float] = field(default_factory=list)
    """The seconds from an activity's completion to the next start, with nothing between."""

    @property
    def workers(self) -> frozenset[str]:
        return frozenset(name for name, _ in self.taken)

    @property
    def limit(self) -> float | None:
        """The seconds that the job may take from its permit on."""
        limit = self.limits.get("job_seconds")
        return float(limit) if isinstance(limit, int | float) else None

    @property
    def left(self) -> float | None:
        """When it gave its place back: one that had given up its wait does so before its close."""
        back = (each.at for each in self.releases if each.body.get("name") == SLOT)
        return self.closed if self.orders else next(back, self.closed)

    def signalled(self, name: str) -> list[Signal]:
        return [signal for signal in self.signals if signal.name == name]

    @property
    def brought(self) -> dict[str, Row]:
        """The results that are files, by the vendor's id."""
        return {task_of(result): result for result in self.results if result.get("asset")}

    @property
    def called_back(self) -> list[Signal]:
        """The callback's signals, whatever their name in the pipeline."""
        return [signal for signal in self.signals if signal.body.get("task_status")]


def task_of(result: Row) -> str:
    """Return the vendor's id in an activity's result, without the path that may precede it."""
    return str(result.get("vendor_id")).rpartition("/")[2]
