"""The semaphore's process: the library's worker, with the jobs' semaphores."""

from collections.abc import Collection
from contextlib import AbstractAsyncContextManager

from prometheus_client import Gauge
from temporalio.client import Client
from temporalio.worker import Worker

from shared.jobs.genvideo import GENVIDEO
from shared.jobs.slots import recalls_of, semaphores_of
from shared.pipeline.definition import Definition
from shared.semaphore.state import SemaphoreRules
from shared.semaphore.worker import semaphore_worker

FAILING_DRAINS = Gauge(
    "genvideo_semaphore_failing_drains",
    "Holders whose drain has failed several times; make slot-free gives one up",
    ["gate"],
)


def running_semaphore(
    client: Client,
    *,
    rules: SemaphoreRules | None = None,
    pipelines: Collection[Definition] = (GENVIDEO,),
    shutdown_seconds: float = 3,
) -> AbstractAsyncContextManager[Worker]:
    """Run a worker of semaphores during the block, and keep the semaphores running."""
    given = {"recalls": recalls_of(pipelines), "ends_failing": True}
    return semaphore_worker(
        client,
        rules=(rules or SemaphoreRules()).model_copy(update=given),
        shutdown_seconds=shutdown_seconds,
        names=semaphores_of(pipelines),
        on_failing_drains=lambda gate, number: FAILING_DRAINS.labels(gate).set(number),
    )
