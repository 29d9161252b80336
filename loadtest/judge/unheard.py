"""An armed image acts until its next heartbeat: it may begin just after its job was ended."""

from loadtest.books.model import Books, JobFacts

FROM_OUTSIDE = ("TERMINATED", "TIMED_OUT")
ORDERLY = ("COMPLETED", "FAILED", "CANCELED")
# What its activity may take to hear of the end, by the heartbeats of the design.
HEARD_SECONDS = 3.0
# What the word of a beginning may take to get into the history.
WORD_SECONDS = 1.0


def began_unheard(job: JobFacts, books: Books) -> bool:
    """Whether the job's one generation is such an image, which its record knows nothing of.

    It was ended from outside while it was armed, or as it began: the image was accepted in its
    turn, and no longer after the end than a heartbeat takes.
    """
    run = job.execution
    accepted = [generation.accepted for generation in job.generations]
    if run is None or run.status not in FROM_OUTSIDE or len(accepted) != 1 or accepted[0] is None:
        return False
    # The word of a beginning follows it.
    since = run.granted - WORD_SECONDS if run.granted else _closed(run.behind, books)
    in_turn = since is not None and accepted[0] >= since
    return in_turn and abs(accepted[0] - (run.closed or 0.0)) <= HEARD_SECONDS


def _closed(run_id: str | None, books: Books) -> float | None:
    """When a run closed in order; None where it did not."""
    known = (each for job in books.jobs for each in job.executions if each.run_id == run_id)
    before = next(known, None)
    return before.closed if before is not None and before.status in ORDERLY else None
