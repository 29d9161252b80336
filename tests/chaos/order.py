"""Who came first and was served later; only what Temporal's histories show counts."""

from collections.abc import Iterator
from dataclasses import dataclass

from loadtest.books.model import JobFacts
from tests.chaos.evidence import Evidence

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
