"""What each book says about a job; every instant is seconds since 1970, None where unknown."""

from dataclasses import dataclass, field
from typing import Any

ENDS = ("succeeded", "degraded", "failed", "cancelled")
STEPS = ("image", "video")


@dataclass(frozen=True, slots=True)
class Submission:
    """The runner's own note of one submission."""

    index: int
    prompt: str
    planned: float
    sent: float
    answered: float
    tries: int
    job_id: str | None
    problem: str | None


@dataclass(frozen=True, slots=True)
class ApiJob:
    """A job as the API showed it at the end."""

    listed: bool
    status: str
    created: float | None
    started: float | None
    finished: float | None
    version: int
    attempts: dict[str, int]
    error_code: str | None
    error_message: str | None


@dataclass(frozen=True, slots=True)
class Transition:
    """One change in a job's JSON record."""

    version: int
    at: float | None
    status: str
    step: str | None
    percent: int
    attempt: int


@dataclass(frozen=True, slots=True)
class Record:
    """A job's JSON record, or why there is none."""

    problem: str | None
    status: str | None = None
    version: int = 0
    transitions: tuple[Transition, ...] = ()
    hashes: dict[str, str] = field(default_factory=dict)
    error_code: str | None = None
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Activity:
    """One activity in a history."""

    kind: str
    scheduled: float | None
    started: float | None
    ended: float | None
    attempt: int
    outcome: str
    error_class: str | None
    error_message: str | None


@dataclass(frozen=True, slots=True)
class Execution:
    """One run in Temporal, as its history tells it.

    `asked`: it wanted the slot; `granted`: it heard that the slot is its own, which may be a moment
    after a vendor has accepted its image.
    """

    run_id: str
    status: str
    started: float | None
    closed: float | None
    granted: float | None
    signals: tuple[tuple[str, float], ...]
    activities: tuple[Activity, ...]
    hops: tuple[float, ...]
    events: int
    workflow_tasks: int
    bytes: int
    asked: float | None = None


@dataclass(frozen=True, slots=True)
class Callback:
    """One attempt of the vendor to deliver a callback."""

    sent: float | None
    status: str
    reply: int | None
    error: str | None
    note: str
    delivery_id: str | None

    @property
    def answered(self) -> bool:
        """Whether the receiver took it."""
        return self.reply is not None and 200 <= self.reply < 300


@dataclass(frozen=True, slots=True)
class Generation:
    """One accepted generation in a vendor's ledger."""

    step: str
    vendor_id: str
    external_id: str | None
    job_id: str | None
    attempt: int | None
    accepted: float | None
    started: float | None
    finished: float | None
    outcome: str | None
    error: str | None
    charged: bool
    callbacks: tuple[Callback, ...]
    token: int | None = None

    @property
    def good(self) -> bool:
        return self.outcome in ("succeeded", "succeed")

    @property
    def seconds(self) -> float:
        """From acceptance to the end, by the vendor's clock; 0 while open."""
        if self.accepted is None or self.finished is None:
            return 0.0
        return max(0.0, self.finished - self.accepted)


@dataclass(frozen=True, slots=True)
class Receipt:
    """One callback as our receiver noted it."""

    at: float | None
    task_id: str | None
    task_status: str | None
    fate: str
    external_id: str | None = None


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A stored result, examined."""

    kind: str
    bytes: int
    sha256: str | None
    problem: str | None


@dataclass(frozen=True, slots=True)
class Injected:
    """One fault that a mock injected, by its own trace."""

    service: str
    rule: str
    where: str
    do: str
    external_id: str | None
    job_id: str | None
    at: float | None = None


@dataclass(slots=True)
class JobFacts:
    """Everything that all books say about one job."""

    job_id: str
    stage: int
    submissions: list[Submission] = field(default_factory=list)
    api: list[ApiJob] = field(default_factory=list)
    record: Record | None = None
    executions: list[Execution] = field(default_factory=list)
    runs: set[str] = field(default_factory=set)
    generations: list[Generation] = field(default_factory=list)
    faults: list[Injected] = field(default_factory=list)
    receipts: list[Receipt] = field(default_factory=list)
    files: dict[str, StoredFile] = field(default_factory=dict)

    @property
    def status(self) -> str | None:
        """The status by the API's book."""
        return self.api[0].status if self.api else None

    @property
    def submission(self) -> Submission | None:
        return self.submissions[0] if self.submissions else None

    @property
    def execution(self) -> Execution | None:
        return self.executions[-1] if self.executions else None

    @property
    def finished(self) -> float | None:
        return self.api[0].finished if self.api else None

    @property
    def latency(self) -> float | None:
        """From the planned instant of submission to the end."""
        if self.submission is None or self.finished is None:
            return None
        return self.finished - self.submission.planned

    def of(self, step: str) -> list[Generation]:
        """The generations of one stage, in the order of their acceptance."""
        return [generation for generation in self.generations if generation.step == step]


@dataclass(frozen=True, slots=True)
class SlotSample:
    """Who held the slot at one instant, by the API."""

    at: float
    holders: tuple[str, ...]
    waiting: int | None
    limit: int | None


@dataclass(frozen=True, slots=True)
class ProcessSample:
    """One process at one instant: CPU seconds so far, bytes resident, open descriptors."""

    at: float
    cpu: float
    rss: float
    fds: float


@dataclass(slots=True)
class StageBook:
    """One stage: what was asked, and the facts of its jobs."""

    number: int
    planned_jobs: int
    tag: str
    began: float
    ended: float
    why: str
    limit: int | None
    limits_seen: frozenset[int]
    jobs: dict[str, JobFacts] = field(default_factory=dict)
    refused: list[Submission] = field(default_factory=list)
    samples: list[SlotSample] = field(default_factory=list)

    @property
    def accepted(self) -> int:
        """Submissions that the API took; the same job given twice counts twice."""
        return sum(len(job.submissions) for job in self.jobs.values())


@dataclass(slots=True)
class Books:
    """All books of a run."""

    run: dict[str, Any]
    stages: list[StageBook]
    foreign: list[Generation] = field(default_factory=list)
    foreign_jobs: dict[str, bool] = field(default_factory=dict)
    foreign_ends: dict[str, float] = field(default_factory=dict)
    vendors: dict[str, Any] = field(default_factory=dict)
    stray_receipts: int = 0
    replay: dict[str, Any] | None = None
    processes: dict[str, list[ProcessSample]] = field(default_factory=dict)

    @property
    def mocked(self) -> bool:
        return bool(self.run.get("mocks"))

    @property
    def jobs(self) -> list[JobFacts]:
        return [job for stage in self.stages for job in stage.jobs.values()]
