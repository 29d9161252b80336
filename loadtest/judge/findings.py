"""What does not fit, by job and by name; a finding never says more than the books show."""

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from loadtest.books.model import ENDS, STEPS, Books, JobFacts, StageBook

LOST, DUPLICATED, ORPHANED = "lost", "duplicated", "orphaned"
CHARGED_TWICE, CONTRADICTION, STILL_OPEN = "charged twice", "contradiction", "still open"
LEFT_OPEN, OVERLAP = "left open at the vendor", "overlap"
CALLBACK_LOST, UNACCOUNTED = "callback lost", "fault unaccounted"
_CLOSED_AS = {
    "succeeded": {"COMPLETED"},
    "degraded": {"COMPLETED"},
    "failed": {"COMPLETED", "FAILED", "TIMED_OUT", "TERMINATED"},
    "cancelled": {"COMPLETED", "CANCELED", "TERMINATED"},
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that does not fit."""

    kind: str
    job_id: str
    stage: int
    text: str


def findings(books: Books) -> list[Finding]:
    """Everything that does not fit, over all books."""
    found = [
        finding
        for stage in books.stages
        for job in stage.jobs.values()
        for finding in _of_job(job, stage, books)
    ]
    return found + list(_foreign(books))


def _of_job(job: JobFacts, stage: StageBook, books: Books) -> Iterator[Finding]:
    def finding(kind: str, text: str) -> Finding:
        return Finding(kind, job.job_id, stage.number, text)

    for text in _lost(job, books):
        yield finding(LOST, text)
    for text in _duplicated(job):
        yield finding(DUPLICATED, text)
    for text in _orphaned(job, books):
        yield finding(ORPHANED, text)
    for text in _charged_twice(job):
        yield finding(CHARGED_TWICE, text)
    if _is_open(job):
        yield finding(STILL_OPEN, f"the API shows it {job.status} after the stage")
        return
    for text in _contradictions(job, books):
        yield finding(CONTRADICTION, text)
    for generation in job.generations:
        if generation.finished is None and generation.outcome is None:
            yield finding(LEFT_OPEN, f"{generation.external_id} was accepted and has not ended")


def _is_open(job: JobFacts) -> bool:
    return job.status is not None and job.status not in ENDS


def _lost(job: JobFacts, books: Books) -> Iterator[str]:
    if not job.submissions:
        return
    if not job.api and "API" not in books.unread:
        yield "accepted by the API, which no longer knows it"
    elif job.api and not job.api[0].listed:
        yield "known to the API, yet missing from its list"
    if not job.executions and "Temporal" not in books.unread:
        yield "no history in Temporal"
    if (job.record is None or job.record.problem) and "records" not in books.unread:
        yield f"no JSON record ({job.record.problem if job.record else 'missing'})"


def _duplicated(job: JobFacts) -> Iterator[str]:
    if len(job.submissions) > 1:
        yield f"{len(job.submissions)} submissions were given this one job"
    if not job.submissions:
        yield "carries the run's tag, yet no submission was given it: one job too many"
    if len(job.api) > 1:
        yield f"the API lists it {len(job.api)} times"
    if len(job.runs) > 1:
        yield f"{len(job.runs)} runs in Temporal"
    accepted = Counter(g.external_id for g in job.generations if g.external_id)
    for external_id, count in accepted.items():
        if count > 1:
            step = external_id.rsplit(".", 2)[-2]
            yield f"{external_id} was accepted {count} times by the {step} service"


def _orphaned(job: JobFacts, books: Books) -> Iterator[str]:
    """Callbacks of an ended job that its vendor didn't send.

    An open job goes on between the reading of the ledger and that of the receipts.
    """
    if "video" not in books.mocks or _is_open(job):
        return
    tasks = {generation.vendor_id for generation in job.generations}
    known = tasks | {generation.external_id for generation in job.generations}
    for receipt in job.receipts:
        if receipt.fate in ("applied", "duplicate") and receipt.task_id not in known:
            yield f"a callback for {receipt.task_id}, which no vendor knows, was {receipt.fate}"


def _charged_twice(job: JobFacts) -> Iterator[str]:
    for step in STEPS:
        charged = [g for g in job.of(step) if g.charged]
        twice = {i: n for i, n in Counter(g.external_id for g in charged).items() if n > 1}
        for external_id, count in twice.items():
            yield f"{external_id} was charged {count} times"
        attempts = _attempts(job, step)
        if attempts is not None and len(charged) > attempts and not twice:
            yield f"{len(charged)} charged {step} generations for {attempts} attempt(s)"


def _attempts(job: JobFacts, step: str) -> int | None:
    """The most attempts that any run of the job came to; a reset begins to count anew."""
    if not job.api or step not in job.api[0].attempts:
        return None
    changes = job.record.transitions if job.record else ()
    return max([job.api[0].attempts[step], *(c.attempt for c in changes if c.step == step)])


def _contradictions(job: JobFacts, books: Books) -> Iterator[str]:
    status = job.status
    if status is None:
        return
    if job.record and not job.record.problem and job.record.status != status:
        yield f"the API says {status}, its record {job.record.status}"
    run = job.execution
    if run is not None and run.status not in _CLOSED_AS.get(status, set()):
        yield f"the API says {status}, Temporal {run.status}"
    yield from _files(job, status)
    yield from _ledger(job, status, books.mocks)


def _files(job: JobFacts, status: str) -> Iterator[str]:
    needed = {"succeeded": ("image", "video"), "degraded": ("image",)}.get(status, ())
    for kind in needed:
        stored = job.files.get(kind)
        if stored is None:
            continue
        if stored.problem:
            yield f"{status}, but its {kind} {stored.problem}"
        noted = job.record.assets.get(kind) if job.record else None
        if noted and noted.sha256 and stored.sha256 and noted.sha256 != stored.sha256:
            yield f"its {kind} is not the file whose hash the record holds"


def _ledger(job: JobFacts, status: str, mocks: Collection[str]) -> Iterator[str]:
    needed = {"succeeded": STEPS, "degraded": ("image",)}.get(status, ())
    for step in needed:
        if step in mocks and not any(g.good for g in job.of(step)):
            yield f"{status}, but the {step} service has no generation of it that succeeded"


def _foreign(books: Books) -> Iterator[Finding]:
    for generation in books.foreign:
        if books.foreign_jobs.get(str(generation.job_id)) is False:
            text = f"the {generation.step} service made {generation.external_id} for nobody"
            yield Finding(ORPHANED, str(generation.job_id), books.stages[-1].number, text)
