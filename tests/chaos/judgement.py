"""Books to violations, by name; nothing here asks the system under test for its opinion.

The load test's judge holds a chaos run against its reference model, as any other run. Here stands
what only a run under strikes has: what was done to whom, a semaphore's own histories, a quiet end.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from loadtest.judge.intervals import Interval, sweep
from loadtest.times import duration, timestamp
from tests.chaos.books import Evidence
from tests.chaos.ends import badly_ended

JUDGED = "the reference model"
SEMAPHORES = "by the semaphores no more at once than the limit"
NOBODY_HELD = "nobody holds or waits at the end"
ENDS = "a job ends as what was done to it demands"
TAIL = "after the last fault all goes its normal way"


@dataclass(frozen=True)
class Violation:
    """One rule broken, by whom (a job's id, or a book), and how."""

    rule: str
    who: str
    text: str


def violations(evidence: Evidence) -> list[Violation]:
    """Everything in the books that breaks a rule; an empty list is the proof."""
    judged = evidence.judged
    found = [Violation(each.rule, each.job_id, each.text) for each in judged.findings]
    found += [Violation(JUDGED, "", text) for text in judged.broken + judged.undecided]
    return found + [
        Violation(rule, who, text)
        for rule, check in _CHECKS.items()
        for who, text in check(evidence)
    ]


Found = Iterator[tuple[str, str]]


def _by_semaphores(evidence: Evidence) -> Found:
    """From the semaphore's decision, which comes before its word to the job, to the run's close."""
    books = evidence.books
    limit = max((stage.limit or 1 for stage in books.stages), default=1)
    horizon = max((stage.ended for stage in books.stages), default=0.0)
    held = [
        Interval(job.job_id, at, max(at, run.closed or horizon))
        for job in books.jobs
        for run in job.executions
        if (at := evidence.grants.get(run.run_id)) is not None
    ]
    for pair in sweep(held, limit).pairs:
        text = f"held beside {pair.first} for {duration(pair.end - pair.begin)}"
        yield pair.second, f"{text} from {timestamp(pair.begin)}, the limit being {limit}"


def _nobody_held(evidence: Evidence) -> Found:
    for holder in evidence.slots.get("holders") or []:
        yield str(holder.get("job_id")), f"holds the slot (draining: {holder.get('draining')})"
    if waiting := evidence.slots.get("waiting_count"):
        yield "", f"{waiting} wait in the semaphore's queue"


def _tail(evidence: Evidence) -> Found:
    """The last jobs had no fault around them: each succeeds, at its first attempts."""
    jobs = {job.job_id: job for job in evidence.books.jobs}
    for job_id in sorted(evidence.tail):
        job = jobs.get(job_id)
        if job is None or job.status != "succeeded":
            status = job.status if job else None
            yield job_id, f"submitted after the last fault, ended {status}"
        elif len(job.generations) != 2:
            yield job_id, f"took {len(job.generations)} generations without any fault"


_CHECKS: dict[str, Callable[[Evidence], Found]] = {
    SEMAPHORES: _by_semaphores,
    NOBODY_HELD: _nobody_held,
    ENDS: badly_ended,
    TAIL: _tail,
}
