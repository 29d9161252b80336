"""What the jobs of a run would cost on a hosted Temporal: actions, and stored histories."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import fmean

from pydantic import ValidationError

from loadtest.books.actions import FREE, HEARTBEAT
from loadtest.books.model import Books, JobFacts
from loadtest.prices import Prices

DAYS_OF_A_MONTH, SECONDS_OF_A_DAY, GB = 30, 86_400, 1e9
JOBS_A_DAY = (1_000, 10_000, 100_000)


@dataclass(frozen=True, slots=True)
class Month:
    """Thirty days of so many jobs, in dollars; `gb_` is what is stored at any time."""

    jobs_a_day: int
    actions: float
    gb_active: float
    gb_retained: float
    for_actions: float
    for_storage: float

    @property
    def dollars(self) -> float:
        return self.for_actions + self.for_storage

    @property
    def dollars_a_job(self) -> float:
        return self.dollars / (self.jobs_a_day * DAYS_OF_A_MONTH)


@dataclass(frozen=True, slots=True)
class Cost:
    """Means of a run's jobs; `by_server` is None where the server did not tell, or began anew.

    `by_history` is of the jobs alone; the server's count has the semaphore, heartbeats and queries,
    and whatever else ran in the namespace.
    """

    jobs: int
    histories: int
    by_history: Counter[str] = field(default_factory=Counter)
    by_server: Counter[str] | None = None
    bytes: float = 0.0
    open_seconds: float = 0.0
    vendors_seconds: float = 0.0
    prices: Prices = field(default_factory=Prices)

    @property
    def actions(self) -> float:
        """Billable ones a job, by the server where it told; else at least these."""
        told, count = self._told
        billed = sum(number for kind, number in told.items() if kind not in FREE)
        return billed / count if count else 0.0

    @property
    def heartbeats(self) -> float | None:
        """A job; None where nobody has counted them."""
        told = self.by_server
        return None if told is None or not self.jobs else told[HEARTBEAT] / self.jobs

    @property
    def _told(self) -> tuple[Counter[str], int]:
        if self.by_server is not None:
            return self.by_server, self.jobs
        return self.by_history, self.histories

    def month(self, jobs_a_day: int) -> Month:
        """What that many jobs a day come to, each like those of the run."""
        stored, prices = jobs_a_day * self.bytes / GB, self.prices
        actions = self.actions * jobs_a_day * DAYS_OF_A_MONTH
        active = stored * self.open_seconds / SECONDS_OF_A_DAY
        retained = stored * prices.history_days
        return Month(
            jobs_a_day=jobs_a_day,
            actions=actions,
            gb_active=active,
            gb_retained=retained,
            for_actions=actions / 1e6 * prices.million_actions,
            for_storage=active * prices.gb_month_active + retained * prices.gb_month_retained,
        )


def cost(books: Books) -> Cost:
    """Of all jobs that ran; a history that was not kept is not counted in."""
    jobs = [job for job in books.jobs if job.execution]
    told = [told for job in jobs for told in job.told.values() if told.problem is None]
    runs = [run for job in jobs for run in job.executions]
    return Cost(
        jobs=len(jobs),
        histories=len({told.name for told in told}),
        by_history=sum((each.actions for each in told), Counter()),
        by_server=books.actions,
        bytes=_mean(run.bytes for run in runs),
        open_seconds=_mean(r.closed - r.started for r in runs if r.closed and r.started),
        vendors_seconds=_mean(map(_seconds, jobs)),
        prices=_prices(books.run.get("prices")),
    )


def _prices(told: object) -> Prices:
    """Those of the run; the published ones where what it tells is none."""
    try:
        return Prices.model_validate(told)
    except ValidationError:
        return Prices()


def _seconds(job: JobFacts) -> float:
    return sum(generation.seconds for generation in job.generations)


def _mean(numbers: Iterable[float]) -> float:
    found = list(numbers)
    return fmean(found) if found else 0.0
