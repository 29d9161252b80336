"""Measure how long a stage took, how long it had to take, and what each slot's time went to."""

import heapq
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from statistics import median

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
        needed = [
            (job.submission.planned if job.submission else 0.0, _service(job)) for job in jobs
        ]
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


def _service(job: JobFacts) -> float:
    """Return the seconds that the vendors needed for the results which the job kept."""
    kept = {g.step: g.seconds for g in job.generations if g.good}
    return sum(kept.values())


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


SERVICE, RETRIES, BACK_OFF = "service", "failed generations", "back-off"
BETWEEN, CALLBACK, STORING = "image to video", "callback or poll", "storing and closing"
HAND_OVER, SUBMISSION, NO_WORK = "hand-over", "submission", "no work"
# More at once is not limited by the slot.
MOST_SLOTS = 1000
PARTS = (SERVICE, RETRIES, BACK_OFF, BETWEEN, CALLBACK, STORING, HAND_OVER, SUBMISSION, NO_WORK)


@dataclass(frozen=True, slots=True)
class Hold:
    """A job holding a slot: first acceptance by a vendor to the close of its run."""

    job: JobFacts
    asked: float
    begin: float
    vendor_end: float
    end: float


@dataclass(frozen=True, slots=True)
class Gap:
    """The time between a job and the next one, which waited for its slot."""

    before: str
    after: str
    hand_over: float
    vendor_idle: float


@dataclass(slots=True)
class Schedule:
    """The slots of a stage, each with the jobs that it served in order."""

    begin: float
    end: float
    slots: list[list[Hold]]
    gaps: list[Gap] = field(default_factory=list)


def schedule(stage: StageBook) -> Schedule | None:
    """Assign a stage's jobs to its slots; return None without vendors' books or jobs."""
    holds = sorted(filter(None, map(_hold, stage.jobs.values())), key=lambda hold: hold.begin)
    if not holds:
        return None
    planned = [job.submission.planned for job in stage.jobs.values() if job.submission]
    slots: list[list[Hold]] = [[] for _ in range(min(stage.limit or 1, MOST_SLOTS))]
    end = max(hold.end for hold in holds)
    found = Schedule(min([*planned, holds[0].begin]), end, slots)
    free = [(-math.inf, number) for number in range(len(slots))]
    # The books don't say which slot a job had: of several, the one that fell free first is the one
    # that the next job had waited for.
    for hold in holds:
        _, number = heapq.heappop(free)
        slot = slots[number]
        if slot and hold.asked <= (last := slot[-1]).end:
            names = (last.job.job_id, hold.job.job_id)
            found.gaps.append(Gap(*names, hold.begin - last.end, hold.begin - last.vendor_end))
        slot.append(hold)
        heapq.heappush(free, (hold.end, number))
    return found


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


def breakdown(found: Schedule) -> dict[str, float]:
    """Return the seconds of all slots together, by what they went to; they add up to slots x
    makespan."""
    spent = dict.fromkeys(PARTS, 0.0)
    for slot in found.slots:
        now = found.begin
        for part, until in _phases(slot, found.end):
            spent[part] += max(0.0, until - now)
            now = max(now, until)
    return spent


def _phases(slot: list[Hold], end: float) -> Iterator[tuple[str, float]]:
    """Return what a slot's time went to, each part with its end."""
    free = -math.inf
    for hold in slot:
        if hold.asked <= free:
            yield HAND_OVER, hold.begin
        else:
            yield NO_WORK, min(hold.asked, hold.begin)
            yield SUBMISSION, hold.begin
        made = [g for g in hold.job.generations if g.accepted is not None]
        useful = {g.step: g for g in made if g.good}
        step = None
        for generation in made:
            yield BACK_OFF if generation.step == step else BETWEEN, generation.accepted or 0.0
            kept = useful.get(generation.step) is generation
            ended = min(generation.finished or hold.end, hold.end)
            yield SERVICE if kept else RETRIES, ended
            step = generation.step
        # A stage with callbacks has an activity that only waits.
        if any(each.kind == f"collect_{step}" for each in hold.job.activities):
            yield CALLBACK, min(_noticed(hold.job, hold.vendor_end), hold.end)
        yield STORING, hold.end
        free = hold.end
    yield NO_WORK, end


def _noticed(job: JobFacts, since: float) -> float:
    """Return when a callback or a poll reported the end of the job's last generation."""
    run = job.execution
    if run is None:
        return since
    moments = [signal.at for signal in run.called_back]
    moments += [activity.ended for activity in run.activities if activity.ended is not None]
    return min((at for at in moments if at >= since), default=since)
