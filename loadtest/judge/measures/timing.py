"""How long a stage took, and how long this plan had to take at the least."""

from collections.abc import Iterable
from dataclasses import dataclass

from loadtest.books.model import JobFacts, StageBook
from loadtest.judge.measures.stats import Spread, spread

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
