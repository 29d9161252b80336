"""The semaphore's process: a worker on its own queue, and the watchdog that one always runs."""

import asyncio
from collections.abc import AsyncIterator, Collection, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta

from temporalio.client import Client
from temporalio.contrib.pydantic import PydanticPayloadConverter
from temporalio.converter import DefaultPayloadConverter
from temporalio.worker import Worker
from temporalio.workflow import NondeterminismError

from .activities import SemaphoreActivities
from .messages import SEMAPHORE_QUEUE
from .sandbox import UnfitPassedOver, WorkflowRunner
from .state import SemaphoreRules
from .watchdog import OnFailingDrains, begin_anew, nobody, running_semaphores, watch_over
from .workflow import SemaphoreWorkflow

# One watch for each holder of each semaphore, and some air: it waits, and does nothing.
MAX_ACTIVITIES = 10_000
# The SDK's least: one for a semaphore that it knows, one for a new run. Where it forgets a run to
# which a query has shown too much, it keeps one of the tasks that wait for that run, and loses the
# others: a query that nobody answers, a workflow task that has to time out.
MAX_WORKFLOW_TASKS = 2
# Without one the SDK reads the code of every module at each start, to make a digest of it.
BUILD_ID = "unnamed"
HEARTBEAT_THROTTLE = timedelta(seconds=1)


def with_models(client: Client) -> Client:
    """The same client for messages that are pydantic's models, with the codec that it has."""
    config = client.config()
    converter = config["data_converter"]
    if converter.payload_converter_class is DefaultPayloadConverter:
        config["data_converter"] = replace(
            converter, payload_converter_class=PydanticPayloadConverter
        )
        return Client(**config)
    return client


@asynccontextmanager
async def semaphore_worker(
    client: Client,
    *,
    rules: SemaphoreRules | None = None,
    task_queue: str = SEMAPHORE_QUEUE,
    shutdown_seconds: float = 3,
    names: Collection[str] = (),
    on_failing_drains: OnFailingDrains = nobody,
) -> AsyncIterator[Worker]:
    """A worker of the semaphores for as long as the block runs, which keeps them running."""
    rules = rules or SemaphoreRules()
    client = with_models(client)
    await begin_anew(client, {*names, *await running_semaphores(client)})
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
        interceptors=[UnfitPassedOver()],
        workflow_runner=runner,
        # A semaphore whose history can't be replayed would stand still for good; one that failed is
        # followed by one that rebuilds. The watchdog ends one whose failure is refused.
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
    care = watch_over(
        client,
        task_queue,
        rules=rules,
        watches=activities.watches,
        names=names,
        known=activities.known,
        on_failing_drains=on_failing_drains,
    )
    async with worker, beside(care):
        yield worker


@asynccontextmanager
async def beside(work: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """`work` goes on for as long as the block runs; what it fails of ends the block as well."""
    block, task = asyncio.current_task(), asyncio.create_task(work)
    failures: list[BaseException] = []

    def ended(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None and block is not None:
            failures.append(error)
            block.cancel()

    task.add_done_callback(ended)
    try:
        yield
    except asyncio.CancelledError:
        if not failures or (block is not None and block.uncancel()):
            raise
        raise failures[0] from None
    finally:
        task.remove_done_callback(ended)
        task.cancel()
