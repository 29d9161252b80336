"""When a job had the slot by each book, and how many had it at once."""

import heapq
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from math import inf

from loadtest.books.executions import DRAIN
from loadtest.books.facts import Generation
from loadtest.books.model import OUTSIDE, Books, JobFacts
from loadtest.judge.clocks import Offset, Offsets
from loadtest.times import instant

VENDORS, RECORDS, TEMPORAL = "vendors", "records", "temporal"
IN_WORDS = {VENDORS: "vendors", RECORDS: "records", TEMPORAL: "Temporal"}


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


def by_book(books: Books, clocks: Offsets) -> dict[str, list[Interval]]:
    """Return all intervals of a run; foreign generations count in the vendors' book."""
    horizon = _horizon(books)
    return {
        VENDORS: vendor_intervals(books, clocks),
        RECORDS: [
            Interval(job.job_id, job.record.started, job.record.finished or horizon)
            for job in books.jobs
            if job.record and job.record.started
        ],
        TEMPORAL: [
            Interval(job.job_id, run.granted or 0.0, run.left or horizon)
            for job, run in books.granted()
        ],
    }


def _horizon(books: Books) -> float:
    return max((stage.ended for stage in books.stages), default=0.0)


def _never(job: JobFacts, books: Books) -> float:
    """Return until when a generation counts that never ended: one that its vendor has not forgotten
    is waited for after the job's end, too, for as long as the job's limits say."""
    horizon, run = _horizon(books), job.execution
    forgot = any(each.do in ("vanish", "forget") for each in job.faults)
    if run is None or forgot or books.struck or any(map(books.was_killed, books.mocks)):
        return job.finished or horizon
    drains = [each.scheduled for each in run.activities if each.kind == DRAIN]
    begun = min(drains, default=run.closed if run.status in OUTSIDE else None)
    wait = run.limits.get("drain_seconds")
    if begun is None or not isinstance(wait, int | float):
        return job.finished or horizon
    return min(max(job.finished or horizon, begun + wait), horizon)


def vendor_intervals(books: Books, clocks: Offsets, *, at_most: bool = False) -> list[Interval]:
    """Return the vendors' book by the runner's clock, as far as is certain, or `at_most`.

    Others' jobs of this system share the slot.
    """
    horizon, foreign = _horizon(books), defaultdict[str, list[Generation]](list)
    for made in books.foreign:
        if made.job_id is not None:
            foreign[made.job_id].append(made)
    found = list[Interval]()
    for job in books.jobs:
        never = _never(job, books)
        found += _vendors(job.job_id, job.generations, never, clocks, at_most=at_most)
    for job_id, rows in foreign.items():
        # One that its job had given up before the run is nobody's any more.
        ended = instant(books.foreign_jobs.get(job_id, {}).get("finished_at"))
        never = horizon if ended is None else ended
        theirs = _vendors(job_id, rows, never, {}, at_most=False)
        found += [each for each in theirs if each.end > each.begin]
    return found


def _vendors(
    job_id: str, rows: list[Generation], never: float, clocks: Offsets, *, at_most: bool
) -> list[Interval]:
    """Return the time from the first acceptance to the last end, by the vendors' clocks, if any.

    A generation that never ended counts to `never`. Instants are turned into the runner's; of what
    their clocks leave open, the interval has what is certain, or with `at_most` all that may be.
    """
    begins, ends = list[float](), list[float]()
    for g in (g for g in rows if g.accepted is not None):
        offset, first, last = clocks.get(g.step, Offset()), g.accepted or 0.0, g.finished or 0.0
        low, high = offset.earliest(last), offset.latest(last)
        begins.append(offset.earliest(first) if at_most else offset.latest(first))
        ends.append(never if g.finished is None else high if at_most else low)
    return [Interval(job_id, min(begins), max(ends))] if begins else []


def sweep(intervals: Iterable[Interval], limit: float = inf) -> Sweep:
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
