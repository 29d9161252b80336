"""All parts of one mock; its routes find it as `app.state.mock`."""

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

from prometheus_client import CollectorRegistry, Counter, Gauge, ProcessCollector

from services.mock_core.callbacks import CallbackSender
from services.mock_core.clock import Clock
from services.mock_core.faults.kinds import Where
from services.mock_core.faults.plan import FaultPlan
from services.mock_core.files import Disk, FileStore
from services.mock_core.ledger import JobIndex, Ledger
from services.mock_core.runner import Runner
from services.mock_core.settings import MockSettings, RuntimeConfig
from shared.http.app import of_state
from shared.http.problems import Shape

_JOURNAL_ROWS = 5_000
_FILE_BYTES = 32_000_000
Hook = Callable[[], None]


class Mock:
    """The parts of a mock.

    `refusal` is the plain form of an error. `runner` gets the maker of files afterwards.
    """

    def __init__(
        self,
        service: str,
        settings: MockSettings,
        *,
        config: RuntimeConfig,
        refusal: Shape,
        calls_back: bool = False,
    ) -> None:
        self.service, self.settings = service, settings
        self.config, self.refusal = config, refusal
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        counter = partial(Counter, registry=registry)
        self.requests = counter(
            "mock_requests_total", "Requests by method and status", ["method", "status"]
        )
        faults = counter("mock_faults_total", "Faults injected by point and kind", ["where", "do"])
        callbacks = counter(
            "mock_callbacks_total", "Callbacks by fate: sent, answered, unanswered, lost", ["fate"]
        )
        changes = counter("mock_generations_total", "Generations by state entered", ["state"])
        in_flight = Gauge("mock_in_flight", "Accepted and not ended", registry=registry)
        in_flight.set_function(lambda: self.ledger.in_flight)
        keep = settings.mock_keep_rows
        on_disk = settings.mock_ledger == "disk"
        self.disk = Disk(settings.data_dir / "mocks" / service) if on_disk else None
        self.clock = Clock(settings.mock_speed)
        self.files = FileStore(_FILE_BYTES, self.clock, self.disk)
        points = frozenset(Where) - (set() if calls_back else {Where.CALLBACK})
        self.plan = FaultPlan(
            service, points=points, seed=settings.mock_seed, clock=self.clock, keep=keep
        )
        self.plan.on_hit = lambda fault: faults.labels(fault.kind.where, fault.kind.do).inc()
        self.ledger, self.jobs = Ledger(keep), JobIndex(keep)
        self.journal: deque[dict[str, Any]] = deque(maxlen=_JOURNAL_ROWS)
        self.runner = Runner(self.ledger, self.plan, clock=self.clock, seconds=config.seconds)
        self.runner.listen(
            lambda it: changes.labels("vanished" if it.vanished else str(it.state)).inc()
        )
        self.sender = CallbackSender(
            self.plan,
            self.clock,
            ledger=self.ledger,
            count=lambda fate: callbacks.labels(fate).inc(),
        )
        self.on_restart: list[Hook] = []
        self.on_reset: list[Hook] = []
        self.fetched_late: set[str] = set()
        if self.disk is not None:
            self.disk.restore(self.ledger, self.jobs)
            self.runner.listen(self.disk.note)
            self.sender.attempted = self.disk.note
        self.runner.listen(self.sender.announce)

    def forget_ids(self) -> int:
        """Forget what a vendor loses by a restart; return the number of lost generations."""
        known = [row for row in self.ledger if not row.vanished]
        for row in known:
            self.runner.vanish(row)
        for forget in self.on_restart:
            forget()
        return len(known)

    def configure(self, config: RuntimeConfig) -> None:
        """Apply these values; running delays keep their nominal length."""
        self.config = config
        self.clock.set_speed(config.speed)
        self.runner.seconds = config.seconds

    async def reset(self) -> None:
        """Forget everything except the configuration; armed rules stay and restart their counts."""
        # Stop the runs first, because one that ended meanwhile would announce a callback.
        await self.runner.forget_all()
        for forget in self.on_reset:
            forget()
        await self.sender.forget_all()
        for part in (self.jobs, self.files, self.journal, self.fetched_late):
            part.clear()
        if self.disk is not None:
            self.disk.clear()
        self.plan.reset()


TheMock = Annotated[Mock, of_state("mock", Mock)]
