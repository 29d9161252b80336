"""The semaphores that jobs pass, and what clears up after a job that was closed from outside."""

from collections.abc import Iterable

from shared.jobs.genvideo import GENVIDEO
from shared.pipeline.definition import DRAIN_ACTIVITY, OPEN_RECORDS_ACTIVITY, Definition
from shared.semaphore.messages import Recall

# A job holds it from its grant to its close.
JOB_GATE = GENVIDEO.slot
# A job holds each during one stage; off unless a worker's settings say otherwise.
STAGE_GATES = GENVIDEO.names


def recalls_of(pipelines: Iterable[Definition]) -> dict[str, tuple[Recall, ...]]:
    """By slot, what knows of its jobs when Temporal does not: records outlive Temporal's memory."""
    found: dict[str, tuple[Recall, ...]] = {}
    for each in pipelines:
        recall = Recall(task_queue=each.name, activity=OPEN_RECORDS_ACTIVITY, drain=DRAIN_ACTIVITY)
        found[each.slot] = (*found.get(each.slot, ()), recall)
    return found


def semaphores_of(pipelines: Iterable[Definition]) -> list[str]:
    """The slots of these pipelines, and the gates of their stages."""
    names = [name for each in pipelines for name in (each.slot, *each.names)]
    return list(dict.fromkeys(names))
