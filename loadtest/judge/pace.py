"""Measure how long a stage took, how long it had to take, and the hand-over between its jobs."""

import heapq
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import NamedTuple

from loadtest.books.model import JobFacts, StageBook

P95_FROM = 20
P99_FROM = 100


@dataclass(frozen=True, slots=True)
class Spread:
    """A sample's order statistics; p95 from 20 values on, p99 from 100, else None."""

    n: int
    min: float | None = None
    median: float | None = None
    p95: float | None = None
    p99: float | None = None
    max: float | None = None
    total: float = 0.0


def spread(values: Iterable[float | None]) -> Spread:
    """Return the spread of the values that are known."""
    known = sorted(value for value in values if value is not None)
    if not known:
        return Spread(0)
    return Spread(
        n=len(known),
        min=known[0],
        median=median(known),
        p95=percentile(known, 95) if len(known) >= P95_FROM else None,
        p99=percentile(known, 99) if len(known) >= P99_FROM else None,
        max=known[-1],
        total=math.fsum(known),
    )


def percentile(ordered: Sequence[float], percent: float) -> float:
    """Return the nearest rank, which is always a value that was measured."""
    return ordered[max(0, math.ceil(percent / 100 * len(ordered)) - 1)]


FORMULA = (
    "bound = max( max_j(r_j + s_j), max_k(r_k + sum of s_j over j >= k / limit) ), with r_j the "
    "planned instant of job j (counted from the first, in order) and s_j the vendors' own time "
    "for its generations that succeeded"
)


@dataclass(frozen=True, slots=True)
class Timing:
    """Makespan and its lower bound, in seconds; None if the books do not have it."""

    latency: Spread
    makespan: float | None
    ideal: float | None
    bound: float | None
    efficiency: float | None
    ratio: float | None
    throughput: float | None


def timing(stage: StageBook) -> Timing:
    """Return the timing of a stage; the ideal needs the vendors' books."""
    jobs, limit = list(stage.jobs.values()), stage.limit or 1
    planned = [job.submission.planned for job in jobs if job.submission]
    ends = [job.finished for job in jobs if job.finished is not None]
    makespan = max(ends) - min(planned) if planned and ends else None
    ideal = bound = None
    if any(job.generations for job in jobs):
        # What the vendors needed for the results which each job kept.
        kept = [{g.step: g.seconds for g in job.generations if g.good} for job in jobs]
        begins = [job.submission.planned if job.submission else 0.0 for job in jobs]
        needed = [(at, sum(each.values())) for at, each in zip(begins, kept, strict=True)]
        ideal = sum(seconds for _, seconds in needed) / limit
        bound = lower_bound(needed, limit)
    return Timing(
        latency=spread(job.latency for job in jobs),
        makespan=makespan,
        ideal=ideal,
        bound=bound,
        efficiency=bound / makespan if bound and makespan else None,
        ratio=makespan / ideal if ideal and makespan else None,
        throughput=len(ends) / makespan if makespan else None,
    )


def lower_bound(jobs: Iterable[tuple[float, float]], limit: int) -> float | None:
    """Return the time before which no schedule of these (planned instant, service time) ends."""
    ordered = sorted(jobs)
    if not ordered:
        return None
    first = ordered[0][0]
    longest = max(planned - first + seconds for planned, seconds in ordered)
    # From the last one on: job k and all that are planned after it can't begin before k is planned.
    left, worst = 0.0, 0.0
    for planned, seconds in reversed(ordered):
        left += seconds
        worst = max(worst, planned - first + left / limit)
    return max(longest, worst)


class Hold(NamedTuple):
    """A job holding a slot: first acceptance by a vendor to the close of its run."""

    job: JobFacts
    asked: float
    begin: float
    vendor_end: float
    end: float


def holds(stage: StageBook) -> list[Hold]:
    """Return the holds of a stage in the order of their beginnings."""
    return sorted(filter(None, map(_hold, stage.jobs.values())), key=lambda hold: hold.begin)


def hand_overs(stage: StageBook) -> list[tuple[Hold, Hold]]:
    """Return each hold with the next one of its slot, if that job had waited for it.

    The books don't say which slot a job had: of several, the one that fell free first is the one
    that the next job had waited for.
    """
    held, pairs = list[tuple[float, int, Hold]](), []
    for number, hold in enumerate(holds(stage)):
        if number >= (stage.limit or 1):
            *_, last = heapq.heappop(held)
            if hold.asked <= last.end:
                pairs.append((last, hold))
        heapq.heappush(held, (hold.end, number, hold))
    return pairs


def _hold(job: JobFacts) -> Hold | None:
    accepted = [g.accepted for g in job.generations if g.accepted is not None]
    run = job.execution
    end = (run.closed if run else None) or job.finished
    if not accepted or end is None:
        return None
    vendor_end = max([g.finished for g in job.generations if g.finished is not None] or [end])
    asked = job.api[0].created if job.api else None
    if asked is None:
        asked = job.submission.sent if job.submission else min(accepted)
    return Hold(job, asked, min(accepted), vendor_end, max(end, vendor_end))
