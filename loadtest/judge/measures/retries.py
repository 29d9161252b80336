"""Generations that ended badly and what became of them; each must have left a trace."""

from collections import Counter
from dataclasses import dataclass, field

from loadtest.books.facts import Generation
from loadtest.books.model import STEPS, JobFacts

RECOVERED, DEGRADED, SURFACED = "recovered by retry", "degraded", "surfaced as a failure"
UNACCOUNTED = "unaccounted"


@dataclass(slots=True)
class RetryBook:
    """Attempts per stage, errors by class, and the fate of each failed generation."""

    attempts: dict[str, Counter[int]] = field(default_factory=lambda: {s: Counter() for s in STEPS})
    errors: Counter[tuple[str, str]] = field(default_factory=Counter)
    calls: Counter[tuple[str, str]] = field(default_factory=Counter)
    fates: Counter[str] = field(default_factory=Counter)
    unaccounted: list[tuple[str, str]] = field(default_factory=list)
    seconds: float = 0.0
    retries: int = 0


def retry_book(jobs: list[JobFacts]) -> RetryBook:
    """Read ledgers for failed generations and histories for calls that had to be repeated."""
    book = RetryBook()
    for job in jobs:
        for step in STEPS:
            made = job.of(step)
            if made:
                book.attempts[step][len(made)] += 1
                book.retries += len(made) - 1
            for place, generation in enumerate(made):
                if not generation.good and (generation.finished or generation.outcome):
                    _failed(job, generation, made[place + 1 :], book=book)
        _calls(job, book)
    return book


def _failed(job: JobFacts, failed: Generation, later: list[Generation], *, book: RetryBook) -> None:
    book.seconds += failed.seconds
    book.errors[(failed.step, failed.error or failed.outcome or "unknown")] += 1
    if any(generation.good for generation in later):
        book.fates[RECOVERED] += 1
    elif job.status == "degraded":
        book.fates[DEGRADED] += 1
    elif job.status in ("failed", "cancelled") or later:
        book.fates[SURFACED] += 1
    else:
        book.fates[UNACCOUNTED] += 1
        what = failed.outcome or "has not ended"
        book.unaccounted.append(
            (job.job_id, f"{failed.external_id} {what}; the job is {job.status}")
        )


def _calls(job: JobFacts, book: RetryBook) -> None:
    for activity in job.execution.activities if job.execution else ():
        if activity.error_class is not None:
            given_up = activity.outcome in ("failed", "timed_out")
            how = f"{activity.kind}, {'given up' if given_up else 'repeated'}"
            book.calls[(how, activity.error_class)] += max(1, activity.attempt - 1)
