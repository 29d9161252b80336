"""When a job had the slot by each book, and how many had it at once."""

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from loadtest.books.model import ENDS, Books, JobFacts, StageBook
from loadtest.judge.clocks import Offset, Offsets
from loadtest.times import instant

VENDORS, RECORDS, TEMPORAL = "vendors", "records", "temporal"


@dataclass(frozen=True, slots=True)
class Interval:
    """A job's time as one book shows it, from and to."""

    name: str
    begin: float
    end: float


@dataclass(frozen=True, slots=True)
class Overlap:
    """Two that ran at once though the limit forbade it."""

    first: str
    second: str
    begin: float
    end: float


@dataclass(frozen=True, slots=True)
class Sweep:
    """What a sweep found: the most at once, when, and each time that the limit was broken."""

    intervals: int
    most: int
    at: float | None
    pairs: tuple[Overlap, ...]

    @property
    def violations(self) -> int:
        return len(self.pairs)


def vendor_interval(
    job: JobFacts, horizon: float, clocks: Offsets | None = None, *, at_most: bool = False
) -> Interval | None:
    """Return the time from the first acceptance to the last end, by the vendors' clocks.

    A generation that never ended counts to the job's own end, or to `horizon` without one. Instants
    are turned into the runner's; of what their clocks leave open, the interval has what is certain,
    or with `at_most` all that may be.
    """
    made = [g for g in job.generations if g.accepted is not None]
    if not made:
        return None
    found = clocks or {}
    never = job.finished or horizon
    begins = [_instant(g.accepted or 0.0, found.get(g.step), late=not at_most) for g in made]
    ends = [
        never if g.finished is None else _instant(g.finished, found.get(g.step), late=at_most)
        for g in made
    ]
    return Interval(job.job_id, min(begins), max(ends))


def _instant(at: float, offset: Offset | None, *, late: bool) -> float:
    if offset is None:
        return at
    return offset.latest(at) if late else offset.earliest(at)


def by_book(books: Books, clocks: Offsets) -> dict[str, list[Interval]]:
    """Return all intervals of a run; foreign generations count in the vendors' book."""
    horizon = max((stage.ended for stage in books.stages), default=0.0)
    return {
        VENDORS: vendor_intervals(books, clocks),
        RECORDS: [each for job in books.jobs for each in _recorded(job, horizon)],
        # From the permit to the close of each run.
        TEMPORAL: [
            Interval(job.job_id, run.granted, run.closed or horizon)
            for job in books.jobs
            for run in job.executions
            if run.granted is not None
        ],
    }


def _recorded(job: JobFacts, horizon: float) -> Iterator[Interval]:
    """Return the time of *running* in the JSON record."""
    known = [change for change in job.changes if change.at is not None]
    begin = next((change.at for change in known if change.status == "running"), None)
    end = next((change.at for change in known if change.status in ENDS), horizon)
    if begin is not None:
        yield Interval(job.job_id, begin, end or horizon)


def vendor_intervals(books: Books, clocks: Offsets, *, at_most: bool = False) -> list[Interval]:
    """Return the vendors' book by the runner's clock, as far as is certain, or `at_most`."""
    horizon = max((stage.ended for stage in books.stages), default=0.0)
    jobs = (vendor_interval(job, horizon, clocks, at_most=at_most) for job in books.jobs)
    own = [interval for interval in jobs if interval is not None]
    return own + list(_foreign(books, horizon))


def within(intervals: list[Interval], stage: StageBook) -> list[Interval]:
    """Return the intervals that touch a stage's time."""
    return [i for i in intervals if i.begin <= stage.ended and i.end >= stage.began]


def _foreign(books: Books, horizon: float) -> Iterator[Interval]:
    """Return others' jobs of this system, which share the slot."""
    by_job: dict[str, JobFacts] = {}
    for generation in books.foreign:
        if generation.job_id is not None:
            facts = by_job.setdefault(generation.job_id, JobFacts(generation.job_id, -1))
            facts.generations.append(generation)
    for facts in by_job.values():
        # One that its job had given up before the run is nobody's any more.
        ended = instant(books.foreign_jobs.get(facts.job_id, {}).get("finished_at"))
        interval = vendor_interval(facts, horizon if ended is None else ended)
        if interval is not None and interval.end > interval.begin:
            yield interval


def sweep(intervals: Iterable[Interval], limit: int) -> Sweep:
    """Sweep over the intervals in the order of their beginnings."""
    active: list[tuple[float, str]] = []
    most, at, count = 0, None, 0
    pairs: list[Overlap] = []
    for interval in sorted(intervals, key=lambda i: (i.begin, i.end)):
        count += 1
        while active and active[0][0] <= interval.begin:
            heapq.heappop(active)
        if len(active) >= limit:
            # The one that ends last: its overlap with this one is the longest there is.
            end, name = max(active)
            pairs.append(Overlap(name, interval.name, interval.begin, min(end, interval.end)))
        heapq.heappush(active, (interval.end, interval.name))
        if len(active) > most:
            most, at = len(active), interval.begin
    return Sweep(count, most, at, tuple(pairs))
