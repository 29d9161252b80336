"""The semaphore's process: a worker on its own queue, and the watchdog."""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

from temporalio.client import Client
from temporalio.contrib.pydantic import PydanticPayloadConverter
from temporalio.worker import Worker
from temporalio.workflow import NondeterminismError

from .activities import SemaphoreActivities
from .messages import SEMAPHORE_QUEUE
from .runner import WorkflowRunner
from .state import SemaphoreRules
from .watchdog import OnFailingDrains, Watchdog, end_stale_tries, running_semaphores
from .workflow import SemaphoreWorkflow

# One watch for each holder of each semaphore, and some reserve; a watch only waits.
MAX_ACTIVITIES = 10_000
# The SDK's minimum: one for cached runs, one for new runs. While the worker evicts a run after a
# query, it keeps one waiting task of that run and loses the others: a query without an answer, a
# workflow task that times out.
MAX_WORKFLOW_TASKS = 2
# Without a build id the SDK reads the code of every module at each start, to hash it.
BUILD_ID = "unnamed"
HEARTBEAT_THROTTLE = timedelta(seconds=1)


def with_models(client: Client) -> Client:
    """Return the same client for pydantic messages, with its codec.

    Another converter might not know them; what it writes of a run's messages is JSON.
    """
    config = client.config()
    converter = config["data_converter"]
    if issubclass(converter.payload_converter_class, PydanticPayloadConverter):
        return client
    config["data_converter"] = replace(converter, payload_converter_class=PydanticPayloadConverter)
    return Client(**config)


@asynccontextmanager
async def semaphore_worker(
    client: Client,
    *,
    rules: SemaphoreRules | None = None,
    task_queue: str = SEMAPHORE_QUEUE,
    shutdown_seconds: float = 3,
    names: Collection[str] = (),
    on_failing_drains: OnFailingDrains = lambda name, number: None,
) -> AsyncIterator[Worker]:
    """Run a worker of semaphores during the block, and keep the semaphores running."""
    rules = rules or SemaphoreRules()
    client = with_models(client)
    await end_stale_tries(client, {*names, *await running_semaphores(client)})
    watchdog = Watchdog(client, rules, task_queue=task_queue, on_failing_drains=on_failing_drains)
    activities = SemaphoreActivities(client, rules, task_queue=task_queue)
    runner = WorkflowRunner()
    worker = Worker(
        client,
        task_queue=task_queue,
        workflows=[SemaphoreWorkflow],
        activities=[
            activities.ask,
            activities.grant_and_watch,
            activities.find_jobs,
            activities.semaphore_rules,
        ],
        workflow_runner=runner,
        # A semaphore whose history does not replay would be stuck for good; after a failed one the
        # next one rebuilds. The watchdog ends one whose failure is refused.
        workflow_failure_exception_types=[NondeterminismError],
        max_concurrent_activities=MAX_ACTIVITIES,
        max_concurrent_workflow_tasks=MAX_WORKFLOW_TASKS,
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=rules.sticky_seconds),
        max_heartbeat_throttle_interval=HEARTBEAT_THROTTLE,
        default_heartbeat_throttle_interval=HEARTBEAT_THROTTLE,
        graceful_shutdown_timeout=timedelta(seconds=shutdown_seconds),
        build_id=BUILD_ID,
    )
    runner.serve(worker)
    care = asyncio.create_task(watchdog.run(names))
    try:
        async with worker:
            yield worker
    finally:
        care.cancel()
