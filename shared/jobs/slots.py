"""The semaphores that jobs pass, and the clean-up after a job that was closed from outside."""

from collections.abc import Iterable

from shared.jobs.genvideo import GENVIDEO
from shared.pipeline.definition import OPEN_RECORDS_ACTIVITY, Definition
from shared.semaphore.messages import Recall

# A job holds it from its grant to its close.
JOB_GATE = GENVIDEO.slot


def recalls_of(pipelines: Iterable[Definition]) -> dict[str, Recall]:
    """Return, by slot and gate, the activity that reads its jobs from records when Temporal has
    forgotten them.

    All pipelines share one store, so a worker of the first one reads them: a slot needs no worker
    of a pipeline that has no job.
    """
    found: dict[str, Recall] = {}
    for each in pipelines:
        for name, step in {**{name: name for name in each.names}, each.slot: None}.items():
            recall = found.get(name) or Recall(
                task_queue=each.name, activity=OPEN_RECORDS_ACTIVITY, clean_ups={}, step=step
            )
            clean_ups = {**recall.clean_ups, each.name: each.clean_up}
            # A name that is some pipeline's slot is held at each stage.
            change = {"clean_ups": clean_ups, "step": recall.step and step}
            found[name] = recall.model_copy(update=change)
    return found


def semaphores_of(pipelines: Iterable[Definition]) -> list[str]:
    names = [name for each in pipelines for name in (each.slot, *each.names)]
    return list(dict.fromkeys(names))
