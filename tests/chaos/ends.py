"""How a job ends: as what was done to it demands, and not without a cause."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from loadtest.books.facts import Shown
from loadtest.books.histories import Execution
from loadtest.books.model import JobFacts
from tests.chaos.books import FROM_OUTSIDE, Done, Evidence
from tests.chaos.schedule import (
    IMAGES,
    SEMAPHORE,
    SEMAPHORE_WORKFLOW,
    SERVER,
    VIDEOS,
    WIRE,
    WORKER,
    WORKERS,
)
from tests.chaos.wires import IMAGE_WIRE, VIDEO_WIRE

# Ends that only somebody outside can bring about, and by what.
DEMANDS = {"CANCELED": Done.CANCEL, "TERMINATED": Done.TERMINATE}
TIMED_OUT = "job_timed_out"
# The reasons that only an operator brings about, and by what. A failure by hand has no type.
BY_HAND = {
    "reset_not_supported": Done.RESET,
    "internal": Done.FAIL,
    "bad_completion": Done.COMPLETE,
    "forgotten": Done.DELETE,
}


def badly_ended(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """Ends that don't fit what was done."""
    for job in evidence.books.jobs:
        run, record = job.execution, job.record
        if run is None or run.closed is None or record is None or record.problem:
            continue
        another = not evidence.was_struck_by(job.job_id).isdisjoint((Done.RESET, Done.START_AGAIN))
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
        if Done.TIME_OUT not in done and _had_time(record, evidence):
            yield "its time was up, and nothing of the kind was done to it"
    elif run.status == "FAILED":
        yield from _by_hand(record, done)


def _another_run(
    job: JobFacts, run: Execution, record: Shown, *, evidence: Evidence
) -> Iterator[str]:
    """A run that was made by hand has ordered nothing, and ends as failed or from outside; the
    record's end stands."""
    if run.status not in ("FAILED", *FROM_OUTSIDE):
        yield f"it was reset or started again, and that run ended {run.status}"
    yield from _by_hand(record, evidence.was_struck_by(job.job_id))


def _by_hand(record: Shown, done: frozenset[Done]) -> Iterator[str]:
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
        *(IMAGES, IMAGE_WIRE, VIDEOS, VIDEO_WIRE),
    }
)
# A try that was killed leaves a doubt whether it submitted. The next one looks for that during the
# scene's ACCEPT_SECONDS (20) before it submits, and what was killed needs some 10 s to come back.
ENOUGH_SECONDS = 30.0


def longest_quiet(struck: Sequence[Mapping[str, Any]], since: float, until: float) -> float:
    """The longest stretch of these seconds (since 1970) in which nothing was struck that lasts.

    What struck a vendor's wire while nobody came along was no strike.
    """
    spans = sorted(
        (strike["epoch"], strike["epoch"] + strike.get("seconds", 0.0))
        for strike in struck
        if strike["target"] in NEEDED and strike.get("met") != 0
    )
    longest, quiet_since = 0.0, since
    for began, over in spans:
        if over > since and began < until:
            longest = max(longest, began - quiet_since)
            quiet_since = max(quiet_since, over)
    return max(longest, until - quiet_since)
