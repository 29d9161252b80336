"""The semaphore's process: the library's worker, with the jobs' semaphores."""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

from prometheus_client import Gauge
from temporalio.client import Client
from temporalio.worker import Worker

from shared.jobs.genvideo import GENVIDEO
from shared.jobs.slots import recalls_of, semaphores_of
from shared.pipeline.definition import Definition
from shared.semaphore import worker as library
from shared.semaphore.messages import SEMAPHORE_QUEUE
from shared.semaphore.state import SemaphoreRules

FAILING_DRAINS = Gauge(
    "genvideo_semaphore_failing_drains",
    "Holders whose drain has failed several times; make slot-free gives one up",
    ["gate"],
)


@asynccontextmanager
async def running_semaphore(
    client: Client,
    *,
    rules: SemaphoreRules | None = None,
    pipelines: Collection[Definition] = (GENVIDEO,),
    task_queue: str = SEMAPHORE_QUEUE,
    shutdown_seconds: float = 3,
) -> AsyncIterator[Worker]:
    """Run a worker of semaphores during the block, and keep the semaphores running."""
    given = {"recalls": recalls_of(pipelines), "ends_failing": True}
    rules = (rules or SemaphoreRules()).model_copy(update=given)
    async with library.semaphore_worker(
        client,
        rules=rules,
        task_queue=task_queue,
        shutdown_seconds=shutdown_seconds,
        names=semaphores_of(pipelines),
        on_failing_drains=lambda gate, number: FAILING_DRAINS.labels(gate).set(number),
    ) as worker:
        yield worker
