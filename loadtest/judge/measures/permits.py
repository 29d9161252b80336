"""When a run had the slot, by its own history: for certain, and at the earliest.

A signal brings the permit, and each order of an attempt names it. Where the signal is missing, the
orders tell.
"""

from loadtest.books.facts import Execution
from loadtest.books.model import JobFacts


def tokens(run: Execution) -> set[int]:
    """The numbers of the permits under which it ordered its attempts."""
    found = {one.token for one in run.orders} | {one.token for one in run.results}
    return {token for token in found if token is not None}


def certain(run: Execution) -> float | None:
    """From when on it had it; without the signal since the end of the first activity."""
    if run.granted is not None or not tokens(run):
        return run.granted
    return next((each.ended for each in run.activities if each.ended is not None), None)


def earliest(run: Execution) -> float | None:
    """From when on it may have had it: since its first activity was at work.

    Of an activity that was begun again the history tells the last try alone: then, since it was
    scheduled.
    """
    begun = [one.scheduled if one.attempt > 1 else one.started for one in run.activities[:1]]
    return min((at for at in (run.granted, *begun) if at is not None), default=None)


def untold(job: JobFacts) -> bool:
    """Whether no history of the job has the signal."""
    return all(run.granted is None for run in job.executions)
