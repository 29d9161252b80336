"""An armed image acts until its next heartbeat: it may begin just after its job was ended."""

from loadtest.books.model import Books, JobFacts

FROM_OUTSIDE = ("TERMINATED", "TIMED_OUT")
ORDERLY = ("COMPLETED", "FAILED", "CANCELED")
# What its activity may take to hear of the end, by the heartbeats of the design.
HEARD_SECONDS = 3.0


def began_unheard(job: JobFacts, books: Books) -> bool:
    """Whether the job's one generation is such an image: no record and no history tells of it.

    It was ended from outside while it was armed; the run before it closed in order, the image was
    accepted after that, and no longer after its own end than a heartbeat takes.
    """
    run = job.execution
    if run is None or run.status not in FROM_OUTSIDE or run.granted or run.behind is None:
        return False
    before = next(
        (e for each in books.jobs for e in each.executions if e.run_id == run.behind), None
    )
    accepted = [generation.accepted for generation in job.generations]
    if before is None or before.status not in ORDERLY or len(accepted) != 1 or accepted[0] is None:
        return False
    begun_in_turn = accepted[0] >= (before.closed or float("inf"))
    return begun_in_turn and accepted[0] <= (run.closed or 0.0) + HEARD_SECONDS
