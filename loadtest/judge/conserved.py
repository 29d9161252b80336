"""Hold that no job was lost or doubled between the books, and the names of what is counted."""

from collections.abc import Iterator

from loadtest.books import raw
from loadtest.books.model import DELETE, RESET, START_AGAIN, Books, JobFacts
from loadtest.judge.compare import Finding, Subject

LOST, DUPLICATED, ORPHANED, CHARGED_TWICE = "lost", "duplicated", "orphaned", "charged_twice"
CALLBACK_LOST, UNACCOUNTED, OVERLAP = "callbacks_lost", "faults_unaccounted", "overlap"
STILL_OPEN, LEFT_OPEN = "still_open", "left_open"
CONDITIONED = (LOST, DUPLICATED, ORPHANED, CHARGED_TWICE, CALLBACK_LOST, UNACCOUNTED, OVERLAP)
"""Rules that have a condition of their own, by which a plan may loosen them."""
REPORTED = (STILL_OPEN, LEFT_OPEN)
"""What a fault may leave behind, and what a condition counts by the list's own word."""


def of_job(job: JobFacts, books: Books) -> Iterator[Finding]:
    """Expect one submission, one job in the list, one run and one record."""
    found, unread = Subject(job.job_id, job.stage).found, books.unread
    if not job.submissions:
        text = "carries the run's tag, yet no submission was given it: one job too many"
        yield found(DUPLICATED, text)
    elif len(job.submissions) > 1:
        yield found(DUPLICATED, f"{len(job.submissions)} submissions were given this one job")
    if not job.api and "API" not in unread:
        yield found(LOST, "accepted by the API, which no longer knows it")
    elif job.api and not job.api[0].listed:
        yield found(LOST, "known to the API, yet missing from its list")
    if len(job.api) > 1:
        yield found(DUPLICATED, f"the API lists it {len(job.api)} times")
    deleted = books.was_struck_by(job.job_id, DELETE)
    if not job.executions and "Temporal" not in unread and not deleted:
        yield found(LOST, "no history in Temporal")
    runs = {str(row.get("run_id")) for row in job.rows.get(raw.EXECUTIONS, ())}
    runs |= {run.run_id for run in job.executions if run.run_id}
    if len(runs) > 1 and not books.was_struck_by(job.job_id, RESET, START_AGAIN):
        yield found(DUPLICATED, f"{len(runs)} runs in Temporal")
    for run in job.executions:
        if run.problem is not None:
            yield found("history", f"the history of run {run.run_id or 'unknown'} {run.problem}")
    problem = job.record.problem if job.record else "missing"
    if problem and "records" not in unread:
        yield found(LOST, f"no JSON record ({problem})")
    if job.status is not None and not job.ended:
        yield found(STILL_OPEN, f"the API shows it {job.status} after the stage")
    for made in job.generations if job.ended else ():
        if made.finished is None and made.outcome is None:
            excused = job.faults or job.status == "cancelled"
            rule = LEFT_OPEN if excused else "ledger"
            yield found(rule, f"{made.external_id} was accepted and has not ended")
