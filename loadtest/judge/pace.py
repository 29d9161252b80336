"""Measure how long a stage took, how long it had to take, and the hand-over between its jobs."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import NamedTuple

from loadtest.books.model import Books, JobFacts, StageBook
from loadtest.judge.slot import freed

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


class HandOver(NamedTuple):
    """A job that had waited for its place, the job that had that before, and three instants: the
    close of the one, its vendors' last end, and the first acceptance of the other."""

    last: JobFacts
    job: JobFacts
    end: float
    vendor_end: float
    begin: float


def hand_overs(stage: StageBook, books: Books) -> list[HandOver]:
    """Return the hand-overs between the jobs of a stage, in the order of the grants."""
    found = []
    for turn in freed(books):
        last, made = stage.jobs.get(turn.by), turn.job.generations
        accepted = [each.accepted for each in made if each.accepted is not None]
        if last is None or turn.job.stage != stage.number or not accepted:
            continue
        if (turn.run.heard or math.inf) <= turn.free:
            ends = [each.finished for each in last.generations if each.finished is not None]
            vendor_end = max(ends, default=turn.free)
            found.append(HandOver(last, turn.job, turn.free, vendor_end, min(accepted)))
    return found
