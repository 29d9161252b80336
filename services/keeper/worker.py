"""The keeper's process: a worker on its own queue, and the care that a keeper is always running."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import structlog
from temporalio.client import Client
from temporalio.service import RPCError
from temporalio.worker import Worker
from temporalio.workflow import NondeterminismError

from services.keeper.activities import KeeperActivities
from services.keeper.attributes import register_search_attributes
from services.keeper.models import KeeperRules
from services.keeper.workflows import SlotKeeperWorkflow
from shared.keepers import start_keeper
from shared.sandbox import workflow_runner
from shared.slots import Gate
from shared.temporal import KEEPER_QUEUE, STICKY_TIMEOUT

log = structlog.get_logger(__name__)

# A keeper that was terminated by hand is back after this at the latest, also when nobody asks.
CARE_SECONDS = 5.0
# One watch for each holder: the limit's upper bound, and some air.
MAX_ACTIVITIES = 1100
HEARTBEAT_THROTTLE = timedelta(seconds=1)


@asynccontextmanager
async def running_keeper(
    client: Client,
    *,
    rules: KeeperRules | None = None,
    task_queue: str = KEEPER_QUEUE,
    shutdown_seconds: float = 3,
) -> AsyncIterator[Worker]:
    """A worker for the keeper, which is started and kept running for as long as the block runs."""
    await register_search_attributes(client)
    activities = KeeperActivities(client, rules or KeeperRules())
    worker = Worker(
        client,
        task_queue=task_queue,
        workflows=[SlotKeeperWorkflow],
        activities=[
            activities.grant_and_watch,
            activities.find_jobs,
            activities.keeper_rules,
        ],
        workflow_runner=workflow_runner(),
        # A keeper whose history can't be replayed would stand still for good; one that failed is
        # followed by one that rebuilds.
        workflow_failure_exception_types=[NondeterminismError],
        max_concurrent_activities=MAX_ACTIVITIES,
        sticky_queue_schedule_to_start_timeout=STICKY_TIMEOUT,
        max_heartbeat_throttle_interval=HEARTBEAT_THROTTLE,
        default_heartbeat_throttle_interval=HEARTBEAT_THROTTLE,
        graceful_shutdown_timeout=timedelta(seconds=shutdown_seconds),
    )
    async with worker:
        care = asyncio.create_task(_keep_it_running(client, task_queue))
        try:
            yield worker
        finally:
            care.cancel()


async def _keep_it_running(client: Client, task_queue: str) -> None:
    while True:
        try:
            for gate in Gate:
                await start_keeper(client, gate, task_queue=task_queue)
        except RPCError as error:
            log.warning("a keeper could not be started", reason=str(error))
        await asyncio.sleep(CARE_SECONDS)
