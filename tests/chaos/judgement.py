"""Books to violations, by name; nothing here asks the system under test for its opinion.

The load test's judge holds a chaos run against its reference model, as any other run. Here stands
what only a run under strikes has: what was done to whom, a semaphore's own histories, a quiet end.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from loadtest.books.executions import Execution
from loadtest.books.facts import Shown
from loadtest.books.model import JobFacts
from loadtest.judge.intervals import Interval, sweep
from loadtest.times import duration, timestamp
from tests.chaos.books import Evidence
from tests.chaos.schedule import (
    IMAGES,
    SEMAPHORE,
    SEMAPHORE_WORKFLOW,
    SERVER,
    VIDEOS,
    WIRE,
    WORKER,
    WORKERS,
    Kind,
)

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
    """From the semaphore's decision, which comes before its word to the job, to the run's return
    of the place."""
    books = evidence.books
    limit = max((stage.limit or 1 for stage in books.stages), default=1)
    horizon = max((stage.ended for stage in books.stages), default=0.0)
    held = [
        Interval(job.job_id, at, max(at, run.left or horizon))
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


# Ends that only somebody outside can bring about, and by what.
DEMANDS = {"CANCELED": Kind.CANCEL, "TERMINATED": Kind.TERMINATE}
TIMED_OUT = "job_timed_out"
# The reasons that only an operator brings about, and by what. A failure by hand has no type.
BY_HAND = {
    "reset_not_supported": Kind.RESET,
    "internal": Kind.ACTIVITY_FAIL,
    "bad_completion": Kind.ACTIVITY_COMPLETE,
    "forgotten": Kind.DELETE,
}


def _badly_ended(evidence: Evidence) -> Found:
    """Ends that don't fit what was done to a job, and such without a cause."""
    for job in evidence.books.jobs:
        run, record = job.execution, job.record
        if run is None or run.closed is None or record is None or record.problem:
            continue
        another = not evidence.was_struck_by(job.job_id).isdisjoint((Kind.RESET, Kind.START_AGAIN))
        bad = _another_run if another and record.run_id != run.run_id else _bad
        for text in bad(job, run, record, evidence=evidence):
            yield job.job_id, text


def _bad(job: JobFacts, run: Execution, record: Shown, *, evidence: Evidence) -> Iterator[str]:
    done, code = evidence.was_struck_by(job.job_id), record.error_code
    if run.status == "TERMINATED" and record.status == "failed" and code != "terminated":
        yield f"terminated, and its record gives {code} as the reason"
    demanded = DEMANDS.get(run.status)
    if demanded is not None and demanded not in done:
        yield f"ended {run.status}, and nobody asked for that (done: {sorted(done)})"
    if run.status == "FAILED" and code == TIMED_OUT:
        # A job fails of itself when its time was up, or when all attempts at a stage have failed.
        if Kind.TIME_OUT not in done and _had_time(record, evidence):
            yield "its time was up, and nothing of the kind was done to it"
    elif run.status == "FAILED":
        yield from _by_hand(record, done)


def _another_run(
    job: JobFacts, run: Execution, record: Shown, *, evidence: Evidence
) -> Iterator[str]:
    """A run that was made by hand has ordered nothing, and ends as failed or from outside; the
    record's end stands."""
    if run.status not in ("FAILED", "TERMINATED", "TIMED_OUT"):
        yield f"it was reset or started again, and that run ended {run.status}"
    yield from _by_hand(record, evidence.was_struck_by(job.job_id))


def _by_hand(record: Shown, done: frozenset[Kind]) -> Iterator[str]:
    wanted = BY_HAND.get(str(record.error_code))
    if wanted is not None and wanted not in done:
        yield f"failed ({record.error_code}), and nothing of the kind was done to it"


def _had_time(record: Shown, evidence: Evidence) -> bool:
    """Whether nothing that it needs was struck for as long as a killed try costs, and some more."""
    changes = record.transitions
    queued = max((at for at, each in enumerate(changes) if each.status == "queued"), default=-1)
    # The last of them says that its time is up.
    at_work = [each.at for each in changes[queued + 1 :] if each.status == "running" and each.at]
    if not at_work:
        return True
    return longest_quiet(evidence.books.struck, at_work[0], at_work[-1]) >= ENOUGH_SECONDS


NEEDED = frozenset(
    {
        *(SERVER, WIRE, WORKERS, *WORKER, SEMAPHORE, SEMAPHORE_WORKFLOW),
        *(IMAGES, VIDEOS),
    }
)
# What was killed needs some 10 s to come back; after several tries the pause before the next one is
# 10 s. That one looks, during the scene's ACCEPT_SECONDS (20), for what the killed one may have
# submitted, before it submits.
ENOUGH_SECONDS = 40.0


def longest_quiet(struck: Sequence[Mapping[str, Any]], since: float, until: float) -> float:
    """The longest stretch of these seconds (since 1970) in which nothing was struck that lasts."""
    spans = sorted(
        (strike["epoch"], strike["epoch"] + strike.get("seconds", 0.0))
        for strike in struck
        if strike["target"] in NEEDED
    )
    longest, quiet_since = 0.0, since
    for began, over in spans:
        if over > since and began < until:
            longest = max(longest, began - quiet_since)
            quiet_since = max(quiet_since, over)
    return max(longest, until - quiet_since)


_CHECKS: dict[str, Callable[[Evidence], Found]] = {
    SEMAPHORES: _by_semaphores,
    NOBODY_HELD: _nobody_held,
    ENDS: _badly_ended,
    TAIL: _tail,
}
