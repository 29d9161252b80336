"""Everything one mock is made of; its routes find it as `app.state.mock`."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request
from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest

from services.mock_core.callbacks.sender import CallbackSender
from services.mock_core.clock import Clock
from services.mock_core.faults.fault import Where
from services.mock_core.faults.plan import FaultPlan
from services.mock_core.faults.trace import Trace
from services.mock_core.journal import Journal
from services.mock_core.ledger.files import Disk, FileStore
from services.mock_core.ledger.generation import JobIndex
from services.mock_core.ledger.ledger import Ledger
from services.mock_core.runner import Make, Runner
from services.mock_core.settings import MockSettings, RuntimeConfig
from shared.http.problems import Shape

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    def __init__(self, in_flight: Callable[[], int]) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "mock_requests_total",
            "Requests by method and status",
            ["method", "status"],
            registry=self.registry,
        )
        self.faults = Counter(
            "mock_faults_total",
            "Faults injected by point and kind",
            ["where", "do"],
            registry=self.registry,
        )
        self.callbacks = Counter(
            "mock_callbacks_total",
            "Callbacks by fate: sent, answered, unanswered, lost",
            ["fate"],
            registry=self.registry,
        )
        self.changes = Counter(
            "mock_generations_total",
            "Generations by state entered",
            ["state"],
            registry=self.registry,
        )
        gauge = Gauge("mock_in_flight", "Accepted and not ended", registry=self.registry)
        gauge.set_function(in_flight)

    def render(self) -> bytes:
        return generate_latest(self.registry)


_JOURNAL_ROWS = 5_000


@dataclass(slots=True, eq=False)
class Mock:
    service: str
    settings: MockSettings
    clock: Clock
    plan: FaultPlan
    trace: Trace
    ledger: Ledger
    runner: Runner
    jobs: JobIndex
    files: FileStore
    journal: Journal
    metrics: Metrics
    sender: CallbackSender
    refusal: Shape
    config: RuntimeConfig
    disk: Disk | None = None
    on_restart: list[Callable[[], None]] = field(default_factory=list)
    on_reset: list[Callable[[], None]] = field(default_factory=list)
    on_configure: list[Callable[[], None]] = field(default_factory=list)
    fetched_late: set[str] = field(default_factory=set)
    # Instants of the last submits, by rule, for those that limit a rate.
    quotas: dict[str, deque[float]] = field(default_factory=dict)

    def forget_ids(self) -> int:
        """Lose what a vendor loses by a restart; the number of generations that were lost."""
        known = [row for row in self.ledger if not row.vanished]
        for row in known:
            self.runner.vanish(row)
        for forget in self.on_restart:
            forget()
        return len(known)

    def configure(self, config: RuntimeConfig) -> None:
        """Take these values; delays under way keep their nominal length."""
        self.config = config
        self.clock.set_speed(config.speed)
        self.runner.seconds = config.seconds
        self.sender.policy = config.callback_policy()
        for heed in self.on_configure:
            heed()

    async def reset(self) -> None:
        """Forget everything but the configuration; armed rules stay and count anew."""
        # The runs first: one that ended meanwhile would announce a callback that nobody forgets.
        await self.runner.forget_all()
        for forget in self.on_reset:
            forget()
        await self.sender.forget_all()
        for part in (self.jobs, self.files, self.journal, self.trace, self.fetched_late):
            part.clear()
        self.quotas.clear()
        if self.disk is not None:
            self.disk.clear()
        self.plan.rearm()


def disk_of(settings: MockSettings, service: str) -> Disk | None:
    """Where this mock keeps its ledger, None where it is to be in memory alone."""
    on_disk = settings.mock_ledger == "disk"
    return Disk(settings.data_dir / "mocks" / service) if on_disk else None


def build_mock(
    service: str,
    settings: MockSettings,
    *,
    config: RuntimeConfig,
    points: frozenset[Where],
    make: Make,
    refusal: Shape,
    files: FileStore,
    disk: Disk | None = None,
    at_once: int = 0,
) -> Mock:
    clock = Clock(settings.mock_speed)
    trace = Trace(settings.mock_keep_rows)
    plan = FaultPlan(service, points=points, seed=settings.mock_seed, clock=clock, trace=trace)
    ledger = Ledger(settings.mock_keep_rows)
    metrics = Metrics(lambda: ledger.in_flight)
    mock = Mock(
        service=service,
        settings=settings,
        clock=clock,
        plan=plan,
        trace=trace,
        ledger=ledger,
        runner=Runner(
            ledger, plan, clock=clock, seconds=config.seconds, make=make, at_once=at_once
        ),
        jobs=JobIndex(settings.mock_job_pattern, settings.mock_keep_rows),
        files=files,
        journal=Journal(_JOURNAL_ROWS),
        metrics=metrics,
        sender=CallbackSender(
            plan,
            clock,
            other=ledger.other,
            count=lambda outcome: metrics.callbacks.labels(outcome).inc(),
        ),
        disk=disk,
        refusal=refusal,
        config=config,
    )
    _observe(mock)
    return mock


def _observe(mock: Mock) -> None:
    """Have metrics and disk follow what happens; what the disk knows is put back first."""
    metrics, disk = mock.metrics, mock.disk
    mock.plan.on_hit = lambda fault: metrics.faults.labels(fault.where, fault.do).inc()
    mock.runner.listen(
        lambda it: metrics.changes.labels("vanished" if it.vanished else str(it.state)).inc()
    )
    if disk is not None:
        disk.restore(mock.ledger, mock.jobs)
        mock.runner.listen(disk.note)
        mock.sender.attempted = disk.note


def mock_of(request: Request) -> Mock:
    mock = request.app.state.mock
    assert isinstance(mock, Mock)  # noqa: S101 - set by the factory
    return mock


async def _mock_dependency(request: Request) -> Mock:
    """Async, since FastAPI sends whatever else through a thread."""
    return mock_of(request)


TheMock = Annotated[Mock, Depends(_mock_dependency)]
