"""The semaphores that jobs pass, and what clears up after a job that was closed from outside."""

from shared.semaphore.messages import CleanUp, Recall, Wait, memo_of
from shared.temporal.client import GENVIDEO_QUEUE

# A job holds the first from its grant to its close, each of the others during one stage.
JOB_GATE = "job"
# Off unless a worker's settings say otherwise.
STAGE_GATES = ("image", "video")
DRAIN_ACTIVITY = "drain_job"
OPEN_RECORDS_ACTIVITY = "open_records"
CLEAN_UP = CleanUp(task_queue=GENVIDEO_QUEUE, activity=DRAIN_ACTIVITY)
# Records outlive Temporal's memory.
RECALLS = {
    JOB_GATE: Recall(
        task_queue=GENVIDEO_QUEUE, activity=OPEN_RECORDS_ACTIVITY, drain=DRAIN_ACTIVITY
    )
}


def job_memo(priority: int) -> dict[str, object]:
    """What marks a job, from its start, as one that waits for the slot."""
    return memo_of(JOB_GATE, Wait(priority=priority, clean_up=CLEAN_UP))
