"""Where a job's time went, piece by piece; pieces never overlap and never leave the job."""

from collections.abc import Iterator
from dataclasses import dataclass

from loadtest.books.model import JobFacts

QUEUED, HAND_OVER, BACK_OFF = "queued", "hand-over", "back-off"
WAIT, STORE, RUNNING = "callback", "storing", "running"


@dataclass(frozen=True, slots=True)
class Span:
    """One piece of a job; `good` is None where there is nothing to judge."""

    job_id: str
    name: str
    begin: float
    end: float
    attempt: int | None = None
    good: bool | None = None


def spans(job: JobFacts) -> list[Span]:
    """The pieces of an ended job, in order; an open job has none."""
    start = job.submission.planned if job.submission else (job.api[0].created if job.api else None)
    if start is None or job.finished is None:
        return []
    run = job.execution
    end = max(job.finished, (run.closed or 0.0) if run else 0.0)
    return [piece for piece in _pieces(job, start, end) if piece.end > piece.begin]


def _pieces(job: JobFacts, start: float, end: float) -> Iterator[Span]:
    known = [g for g in job.generations if g.accepted is not None]
    granted = (job.execution.granted if job.execution else None) or job.api[0].started
    if not known:
        yield Span(job.job_id, QUEUED, start, granted or end)
        yield Span(job.job_id, RUNNING, granted or end, end)
        return
    # Vendors and server have clocks of their own: what seems to begin before the piece ahead of it
    # has ended begins at its end, and nothing reaches behind the job's.
    cursor, name = start, QUEUED
    for generation in known:
        begin = min(max(generation.accepted or cursor, cursor), end)
        if name == QUEUED and granted is not None and cursor < granted < begin:
            yield Span(job.job_id, QUEUED, cursor, granted)
            cursor, name = granted, HAND_OVER
        yield Span(job.job_id, name, cursor, begin)
        cursor = min(max(generation.finished or end, begin), end)
        attempt = generation.attempt
        yield Span(job.job_id, generation.step, begin, cursor, attempt, generation.good)
        name = HAND_OVER if generation.good else BACK_OFF
    if known[-1].step == "video" and known[-1].good:
        moved = min(max(noticed(job, cursor), cursor), end)
        yield Span(job.job_id, WAIT, cursor, moved)
        cursor = moved
    yield Span(job.job_id, STORE, cursor, end)


def noticed(job: JobFacts, since: float) -> float:
    """When the job first moved again after its last generation: a callback, or a poll."""
    run = job.execution
    if run is None:
        return since
    moments = [at for name, at in run.signals if name == "kling_done"]
    moments += [activity.ended for activity in run.activities if activity.ended is not None]
    return min((at for at in moments if at >= since), default=since)
