"""Each injected fault reconciled: what became of the job that it met; none may be unaccounted."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from loadtest.books.facts import Injected
from loadtest.books.model import ENDS, JobFacts

BY_RETRY, BY_POLL, ABSORBED = "recovered by retry", "recovered by poll", "absorbed"
DEGRADED, SURFACED, UNACCOUNTED = "degraded", "surfaced as a failure", "unaccounted"
OUTCOMES = (BY_RETRY, BY_POLL, ABSORBED, DEGRADED, SURFACED, UNACCOUNTED)
# Nothing is lost by these: who bears them has nothing to recover.
_HARMLESS = {
    *("slow", "delay", "drip", "repeat", "resend", "hold", "envelope", "after-poll"),
    *("reply-after-callback", "backwards", "freeze", "absurd"),
}


@dataclass(slots=True)
class FaultBook:
    """Faults by service, place, kind and outcome."""

    outcomes: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    unaccounted: list[tuple[str, str]] = field(default_factory=list)

    @property
    def total(self) -> int:
        return sum(self.outcomes.values())


def fault_book(jobs: list[JobFacts]) -> FaultBook:
    """Reconcile the faults of a stage's jobs."""
    book = FaultBook()
    for job in jobs:
        for fault, outcome in reconciled(job):
            book.outcomes[(fault.service, f"{fault.where}.{fault.do}", outcome)] += 1
            if outcome == UNACCOUNTED:
                text = f"{fault.where}.{fault.do} on {fault.external_id}; the job is {job.status}"
                book.unaccounted.append((job.job_id, text))
    return book


def reconciled(job: JobFacts) -> Iterator[tuple[Injected, str]]:
    """Each fault of a job with its outcome."""
    for fault in job.faults:
        yield fault, _outcome(job, fault)


def _outcome(job: JobFacts, fault: Injected) -> str:
    if job.status not in ENDS:
        return UNACCOUNTED
    if job.status == "cancelled":
        return SURFACED
    step = _step(fault)
    if job.status == "failed" and not (step == "image" and _good(job, "image")):
        return SURFACED
    if not _good(job, step):
        return DEGRADED if job.status == "degraded" else UNACCOUNTED
    return _recovery(job, fault)


def _recovery(job: JobFacts, fault: Injected) -> str:
    """The stage came to a good end: by what means?"""
    if fault.do in _HARMLESS:
        return ABSORBED
    if fault.where == "callback":
        told = any(r.fate == "applied" and r.task_status == "succeed" for r in job.receipts)
        return ABSORBED if told else BY_POLL
    if fault.where == "result":
        stored = job.files.get(_step(fault))
        return BY_RETRY if stored and not stored.problem else UNACCOUNTED
    return BY_RETRY


def _good(job: JobFacts, step: str) -> bool:
    return any(generation.good for generation in job.of(step))


def _step(fault: Injected) -> str:
    return "image" if fault.service == "image" else "video"
