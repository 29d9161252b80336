"""The keeper's process: a worker on its own queue, and the care that a keeper is always running."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from temporalio.client import Client
from temporalio.worker import Worker
from temporalio.workflow import NondeterminismError

from services.keeper.activities import KeeperActivities
from services.keeper.attributes import register_search_attributes
from services.keeper.care import look_after
from services.keeper.models import KeeperRules
from services.keeper.workflows import SlotKeeperWorkflow
from shared.sandbox import workflow_runner
from shared.stacks import check_alone
from shared.temporal import KEEPER_QUEUE, STICKY_TIMEOUT

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
    """A worker for the keeper, which is started and kept running for as long as the block runs.

    AnotherStack, and nothing is polled, where the keeper that runs is that of another one.
    """
    rules = rules or KeeperRules()
    await check_alone(client, rules.stack)
    await register_search_attributes(client)
    activities = KeeperActivities(client, rules)
    worker = Worker(
        client,
        task_queue=task_queue,
        workflows=[SlotKeeperWorkflow],
        activities=[
            activities.watch_run,
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
        care = asyncio.create_task(look_after(client, task_queue, ask_patience=rules.ask_patience))
        try:
            yield worker
        finally:
            care.cancel()
