"""The semaphore's process: the library's worker, for a stack that has the namespace to itself."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from prometheus_client import Gauge
from temporalio.client import Client
from temporalio.worker import Worker

from services.semaphore.attributes import register_search_attributes
from shared.semaphore import worker as library
from shared.semaphore.messages import SEMAPHORE_QUEUE, Gate
from shared.semaphore.state import SemaphoreRules
from shared.temporal.stacks import check_alone

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
    task_queue: str = SEMAPHORE_QUEUE,
    shutdown_seconds: float = 3,
) -> AsyncIterator[Worker]:
    """A worker of the semaphores for as long as the block runs, which keeps them running.

    AnotherStack, and nothing is polled, where the semaphore that runs is that of another one.
    """
    rules = rules or SemaphoreRules()
    await check_alone(client, rules.stack)
    await register_search_attributes(client)

    def failing(gate: Gate, number: int) -> None:
        FAILING_DRAINS.labels(gate).set(number)

    async with library.running_semaphore(
        client,
        rules=rules,
        task_queue=task_queue,
        shutdown_seconds=shutdown_seconds,
        on_failing_drains=failing,
    ) as worker:
        yield worker
