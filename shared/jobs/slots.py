"""The semaphores that jobs pass, and what clears up after a job that was closed from outside."""

from shared.jobs.genvideo import GENVIDEO
from shared.pipeline.definition import DRAIN_ACTIVITY, OPEN_RECORDS_ACTIVITY
from shared.semaphore.messages import Recall

# A job holds the first from its grant to its close, each of the others during one stage.
JOB_GATE = GENVIDEO.slot
# Off unless a worker's settings say otherwise.
STAGE_GATES = GENVIDEO.names
# Records outlive Temporal's memory.
RECALLS = {
    JOB_GATE: Recall(task_queue=GENVIDEO.name, activity=OPEN_RECORDS_ACTIVITY, drain=DRAIN_ACTIVITY)
}
