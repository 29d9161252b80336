"""JSON records: whole, without gaps, and in the end what the workflow itself says."""

from collections.abc import Iterator
from itertools import pairwise

from loadtest.books.facts import Record
from loadtest.books.model import ENDS, JobFacts
from tests.chaos.evidence import Done, Evidence

# Runs that were closed from outside: whoever clears up behind them adds to the record.
FROM_OUTSIDE = ("TERMINATED", "TIMED_OUT")


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


def _transitions(record: Record, *, outside: bool) -> Iterator[str]:
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
