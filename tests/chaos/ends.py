"""Rules on single jobs: how each ends, what its record says, and when it had the slot."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from loadtest.books.facts import Shown
from loadtest.books.model import ENDS, JobFacts
from tests.chaos.books import Done, Evidence
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

# One generation and three more, as documented.
MAX_ATTEMPTS = 4
# How a run closed, and what its record may then say.
RECORDED = {
    "COMPLETED": {"succeeded", "degraded"},
    "FAILED": {"failed"},
    "CANCELED": {"cancelled"},
    "TERMINATED": {"failed"},
    "TIMED_OUT": {"failed"},
}
# Ends that only somebody outside can bring about, and by what.
DEMANDS = {"CANCELED": Done.CANCEL, "TERMINATED": Done.TERMINATE}
TIMED_OUT = "job_timed_out"
# What a record says of a job that waits for its place, and of one that has it.
QUEUED, RUNNING = "queued", "running"
# The reasons that only an operator brings about, and by what. A failure by hand has no type.
BY_HAND = {
    "reset_not_supported": Done.RESET,
    "internal": Done.FAIL,
    "bad_completion": Done.COMPLETE,
    "forgotten": Done.DELETE,
}
# The judge's rules by which books tell different ends.
ENDS_APART = ("history.status", "jobs.job.status", "files.problem", "files", "ledger")
# What a record gives as the reason where another run than its own was ended from outside.
OF_ANOTHER_RUN = (Done.RESET, Done.START_AGAIN)
# Ends from outside, and the reasons that a record then gives.
FROM_OUTSIDE = {"TERMINATED": "terminated", "TIMED_OUT": "timed_out"}
# A worker learns of an end from outside with the answer to the task in hand: within its time-out.
LAST_TASK_SECONDS = 2.0


def badly_ended(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """Ends that don't fit what was done, and books that tell different ends."""
    both = {job.job_id for job in evidence.books.jobs if _ended_both_ways(job)}
    again = {job.job_id for job in evidence.books.jobs if _of_another_run(job, evidence)}
    for finding in evidence.findings:
        apart = finding.rule in ENDS_APART
        if apart and finding.job_id not in both | again:
            yield finding.job_id, finding.text
    for job in evidence.books.jobs:
        for text in _bad(job, evidence):
            yield job.job_id, text


def _ended_both_ways(job: JobFacts) -> bool:
    """Whether the last task of a job wrote its end just as its run was ended from outside.

    What the record tells is true then: all of it was made and stored. The run never heard of it.
    """
    run, record = job.execution, job.record
    if run is None or run.closed is None or record is None or record.problem:
        return False
    if run.status not in FROM_OUTSIDE or record.error_code in FROM_OUTSIDE.values():
        return False
    last = record.transitions[-1].at if record.transitions else None
    return record.status in ENDS and last is not None and abs(last - run.closed) < LAST_TASK_SECONDS


def _bad(job: JobFacts, evidence: Evidence) -> Iterator[str]:
    run, record, done = job.execution, job.record, evidence.done_to(job.job_id)
    if run is None or run.closed is None or record is None or record.problem:
        return
    if _of_another_run(job, evidence):
        yield from _another_run(job, evidence)
        return
    if not _ended_both_ways(job):
        if record.status not in RECORDED.get(run.status, set()):
            yield f"Temporal says {run.status}, the record {record.status}"
        if run.status == "TERMINATED" and record.error_code != "terminated":
            yield f"terminated, and its record gives {record.error_code} as the reason"
    demanded = DEMANDS.get(run.status)
    if demanded is not None and demanded not in done:
        yield f"ended {run.status}, and nobody asked for that (done: {sorted(done)})"
    if run.status == "FAILED":
        yield from _failed(job, evidence)


def _of_another_run(job: JobFacts, evidence: Evidence) -> bool:
    """Whether the newest run is not the one that the record is of: reset, or started again."""
    done, run, record = evidence.done_to(job.job_id), job.execution, job.record
    if done.isdisjoint(OF_ANOTHER_RUN) or run is None or record is None:
        return False
    return record.run_id != run.run_id


def _another_run(job: JobFacts, evidence: Evidence) -> Iterator[str]:
    """It has ordered nothing, and ends as failed or from outside; the record's end stands."""
    run, record, done = job.execution, job.record, evidence.done_to(job.job_id)
    if run is None or record is None:
        return
    if run.status not in ("FAILED", *FROM_OUTSIDE):
        yield f"it was reset or started again, and that run ended {run.status}"
    if record.status not in ENDS:
        yield f"it was reset or started again, and its record says {record.status}"
    wanted = BY_HAND.get(str(record.error_code))
    if wanted is not None and wanted not in done:
        yield f"failed ({record.error_code}), and nothing of the kind was done to it"


def _failed(job: JobFacts, evidence: Evidence) -> Iterator[str]:
    """A job may fail when its time was up, or when all attempts at a stage have failed."""
    if job.record is None:
        return
    code = job.record.error_code
    if code == TIMED_OUT:
        if Done.TIME_OUT not in evidence.done_to(job.job_id) and _had_time(job.record, evidence):
            yield "its time was up, and nothing of the kind was done to it"
        return
    if code in BY_HAND:
        if BY_HAND[code] not in evidence.done_to(job.job_id):
            yield f"failed ({code}), and nothing of the kind was done to it"
        return
    used = max((change.attempt for change in job.record.transitions), default=0)
    if used < MAX_ATTEMPTS:
        yield f"failed ({code}) after {used} attempts of {MAX_ATTEMPTS}"


def _had_time(record: Shown, evidence: Evidence) -> bool:
    """Whether nothing that it needs was struck for as long as a killed try costs, and some more."""
    changes = record.transitions
    queued = max((at for at, each in enumerate(changes) if each.status == QUEUED), default=-1)
    # The last of them says that its time is up.
    at_work = [each.at for each in changes[queued + 1 :] if each.status == RUNNING and each.at]
    if not at_work:
        return True
    return longest_quiet(evidence.struck, at_work[0], at_work[-1]) >= ENOUGH_SECONDS


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


# As documented: one priority weighs as much as ten minutes of waiting.
PRIORITY_SECONDS = 600.0
# A request is on its way to the semaphore for a moment.
SLACK_SECONDS = 1.0


@dataclass(frozen=True)
class Turn:
    """One job's place in the order, and when it asked, and had the slot."""

    job_id: str
    key: float
    asked: float
    granted: float


def inversions(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """Jobs that were waiting when a later one had the slot before them."""
    undisturbed = [job for job in evidence.books.jobs if job.job_id not in evidence.disturbed]
    turns = sorted(filter(None, map(_turn, undisturbed)), key=lambda turn: turn.key)
    for place, first in enumerate(turns):
        for late in turns[place + 1 :]:
            waited = first.asked + SLACK_SECONDS < late.granted
            if waited and late.key > first.key and late.granted < first.granted:
                yield (
                    first.job_id,
                    f"asked {late.granted - first.asked:.1f} s before {late.job_id} had the slot,"
                    f" and had it {first.granted - late.granted:.1f} s after it",
                )
                break


def _turn(job: JobFacts) -> Turn | None:
    run = job.execution
    if run is None or run.started is None or run.granted is None:
        return None
    priority = job.record.priority if job.record else 0
    key = run.started + priority * PRIORITY_SECONDS
    return Turn(job.job_id, key, run.asked or run.started, run.granted)


def spoilt_records(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """What is wrong with a record, by job."""
    for job in evidence.books.jobs:
        closed = not evidence.done_to(job.job_id).isdisjoint((Done.RESET, Done.DELETE))
        for text in _spoilt(job, evidence.versions.get(job.job_id), is_closed=closed):
            yield job.job_id, text


def _spoilt(job: JobFacts, version: int | None, *, is_closed: bool) -> Iterator[str]:
    record = job.record
    if record is None or record.problem:
        yield f"record {record.problem if record else 'missing'}"
        return
    # So do a reset and a delete.
    outside = is_closed or (job.execution is not None and job.execution.status in FROM_OUTSIDE)
    yield from _transitions(record, outside=outside)
    added = outside and version is not None and record.version > version
    if version is not None and record.version != version and not added:
        yield f"the record has version {record.version}, the workflow {version}"


def _transitions(record: Shown, *, outside: bool) -> Iterator[str]:
    """A drain may add one version after the end of a run, and no other."""
    changes = record.transitions
    if [change.version for change in changes] != list(range(1, record.version + 1)):
        yield f"its versions are not 1 to {record.version}"
    if changes and changes[-1].status != record.status:
        yield f"its last transition says {changes[-1].status}, the record {record.status}"
    for before, after in pairwise(changes):
        amends = outside and after is changes[-1] and after.status == before.status
        if before.status in ENDS and not amends:
            yield f"it left {before.status} at version {after.version}"
        same = (before.step, before.attempt) == (after.step, after.attempt)
        if same and after.percent < before.percent:
            yield f"its percent fell at version {after.version}"
