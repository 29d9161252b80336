"""When a run had the slot, by its own history: for certain, and at the earliest.

An activity asks for the permit and brings it back; the signal is its echo, and on a machine without
time it comes late, or after the end of the run, which takes none any more.
"""

from loadtest.books.facts import Execution
from loadtest.books.model import JobFacts


def tokens(run: Execution) -> set[int]:
    """The numbers of the permits that its activities brought back."""
    return {result.token for result in run.results if result.token is not None}


def certain(run: Execution) -> float | None:
    """From when on it had it; without the echo since the end of the first activity."""
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
    """Whether no history of the job has the echo."""
    return all(run.granted is None for run in job.executions)
