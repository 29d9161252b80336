"""How long a stage took, how long it had to take, and where each slot's time went."""

import heapq
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from loadtest.books.facts import Generation
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
    """The spread of the values that are known."""
    known = sorted(value for value in values if value is not None)
    if not known:
        return Spread(0)
    return Spread(
        n=len(known),
        min=known[0],
        median=_median(known),
        p95=percentile(known, 95) if len(known) >= P95_FROM else None,
        p99=percentile(known, 99) if len(known) >= P99_FROM else None,
        max=known[-1],
        total=math.fsum(known),
    )


def percentile(ordered: Sequence[float], percent: float) -> float:
    """Nearest rank: always a value that was really measured."""
    return ordered[max(0, math.ceil(percent / 100 * len(ordered)) - 1)]


def _median(ordered: Sequence[float]) -> float:
    middle = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[middle]
    return (ordered[middle - 1] + ordered[middle]) / 2


FORMULA = (
    "bound = max( max_j(r_j + s_j), max_k(r_k + sum of s_j over j >= k / limit) ), with r_j the "
    "planned instant of job j (counted from the first, in order) and s_j the vendors' own time "
    "for its image and video that succeeded"
)


@dataclass(frozen=True, slots=True)
class Timing:
    """Makespan against its lower bound; seconds, None where the books can't say."""

    latency: Spread
    makespan: float | None
    ideal: float | None
    bound: float | None
    efficiency: float | None
    ratio: float | None
    throughput: float | None


def timing(stage: StageBook) -> Timing:
    """The timing of a stage; the ideal needs the vendors' books."""
    jobs = list(stage.jobs.values())
    makespan = _makespan(jobs)
    ideal = bound = None
    if any(job.generations for job in jobs):
        ideal = sum(map(service, jobs)) / (stage.limit or 1)
        bound = lower_bound(((_planned(job), service(job)) for job in jobs), stage.limit or 1)
    ended = sum(job.finished is not None for job in jobs)
    return Timing(
        latency=spread(job.latency for job in jobs),
        makespan=makespan,
        ideal=ideal,
        bound=bound,
        efficiency=bound / makespan if bound and makespan else None,
        ratio=makespan / ideal if ideal and makespan else None,
        throughput=ended / makespan if makespan else None,
    )


def service(job: JobFacts) -> float:
    """Seconds that the vendors needed for the results which the job kept."""
    kept = {g.step: g for g in job.generations if g.good}
    return sum(generation.seconds for generation in kept.values())


def lower_bound(jobs: Iterable[tuple[float, float]], limit: int) -> float | None:
    """No schedule of these (planned instant, service time) on `limit` slots ends sooner."""
    ordered = sorted(jobs)
    if not ordered:
        return None
    first = ordered[0][0]
    longest = max(planned - first + seconds for planned, seconds in ordered)
    # From behind: job k and all that is planned after it cannot begin before k is planned.
    left, worst = 0.0, 0.0
    for planned, seconds in reversed(ordered):
        left += seconds
        worst = max(worst, planned - first + left / limit)
    return max(longest, worst)


def _planned(job: JobFacts) -> float:
    return job.submission.planned if job.submission else 0.0


def _makespan(jobs: list[JobFacts]) -> float | None:
    planned = [job.submission.planned for job in jobs if job.submission]
    ends = [job.finished for job in jobs if job.finished is not None]
    return max(ends) - min(planned) if planned and ends else None


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
    """A job that waited, and the job whose slot it got."""

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
    """Lay a stage's jobs onto its slots; None without vendors' books or jobs."""
    holds = sorted(filter(None, map(_hold, stage.jobs.values())), key=lambda hold: hold.begin)
    if not holds:
        return None
    planned = [job.submission.planned for job in stage.jobs.values() if job.submission]
    begin = min([*planned, holds[0].begin])
    found = Schedule(
        begin,
        max(hold.end for hold in holds),
        [[] for _ in range(min(stage.limit or 1, MOST_SLOTS))],
    )
    free = [(float("-inf"), number) for number in range(len(found.slots))]
    heapq.heapify(free)
    # The books don't say which slot a job had: of several, the one that fell free first is the one
    # that the next job had waited for.
    for hold in holds:
        _, number = heapq.heappop(free)
        slot = found.slots[number]
        if slot and hold.asked <= slot[-1].end:
            found.gaps.append(_gap(slot[-1], hold))
        slot.append(hold)
        heapq.heappush(free, (hold.end, number))
    return found


def breakdown(found: Schedule) -> dict[str, float]:
    """Seconds of all slots together, by what they went to; they add up to slots x makespan."""
    spent = dict.fromkeys(PARTS, 0.0)
    for slot in found.slots:
        cursor = found.begin
        for place, hold in enumerate(slot):
            if place and hold.asked <= slot[place - 1].end:
                cursor = _spend(spent, HAND_OVER, cursor, hold.begin)
            else:
                cursor = _spend(spent, NO_WORK, cursor, min(hold.asked, hold.begin))
                cursor = _spend(spent, SUBMISSION, cursor, hold.begin)
            cursor = _spend_hold(spent, hold, cursor)
        _spend(spent, NO_WORK, cursor, found.end)
    return spent


def _spend_hold(spent: dict[str, float], hold: Hold, cursor: float) -> float:
    last = {g.step: g for g in hold.job.generations if g.good}
    before: Generation | None = None
    for generation in hold.job.generations:
        if generation.accepted is None:
            continue
        same = before is not None and before.step == generation.step
        cursor = _spend(spent, BACK_OFF if same else BETWEEN, cursor, generation.accepted)
        useful = last.get(generation.step) is generation
        until = min(generation.finished or hold.end, hold.end)
        cursor = _spend(spent, SERVICE if useful else RETRIES, cursor, until)
        before = generation
    if before is not None and before.step == "video":
        cursor = _spend(
            spent,
            CALLBACK,
            cursor,
            min(_noticed(hold.job, hold.vendor_end), hold.end),
        )
    return _spend(spent, STORING, cursor, hold.end)


def _noticed(job: JobFacts, since: float) -> float:
    """When the job first moved again after its last generation: a callback, or a poll."""
    run = job.execution
    if run is None:
        return since
    moments = [signal.at for signal in run.called_back]
    moments += [activity.ended for activity in run.activities if activity.ended is not None]
    return min((at for at in moments if at >= since), default=since)


def _spend(spent: dict[str, float], part: str, begin: float, end: float) -> float:
    if end <= begin:
        return begin
    spent[part] += end - begin
    return end


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


def _gap(before: Hold, after: Hold) -> Gap:
    return Gap(
        before.job.job_id,
        after.job.job_id,
        after.begin - before.end,
        after.begin - before.vendor_end,
    )
