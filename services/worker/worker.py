"""The worker process: one Temporal worker, its HTTP clients, its health; stops gracefully."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from temporalio.client import Client
from temporalio.worker import (
    CustomSlotSupplier,
    FixedSizeSlotSupplier,
    SlotMarkUsedContext,
    SlotPermit,
    SlotReleaseContext,
    SlotReserveContext,
    Worker,
    WorkerTuner,
)

from services.worker.acting.draining import DrainActivities
from services.worker.acting.interceptor import JobInterceptor
from services.worker.acting.records import Requests, StateActivities
from services.worker.activities import StageActivities
from services.worker.dependencies import Dependencies
from services.worker.policies import HEARTBEAT_THROTTLE
from services.worker.results.checker import running_checker
from services.worker.results.disk import Disk
from services.worker.results.fetching import result_transport
from services.worker.results.storage import Storage
from services.worker.settings.worker import WorkerSettings
from services.worker.vendors.chosen import chosen_images, chosen_videos
from services.worker.workflows import GenVideoWorkflow
from shared.http.client import http_client
from shared.jobs.genvideo import GENVIDEO
from shared.semaphore.sandbox import DropInvalidSignals, WorkflowRunner
from shared.store.chosen import chosen_store
from shared.temporal.client import BUILD_ID
from shared.temporal.stacks import check_alone


@asynccontextmanager
async def running_worker(
    settings: WorkerSettings,
    client: Client,
    *,
    task_queue: str = GENVIDEO.name,
    disk: Disk | None = None,
) -> AsyncIterator[Worker]:
    """A worker that polls for as long as the block runs, with the clients it needs.

    AnotherStack, and nothing is polled, where the semaphore that runs is that of another one.
    """
    await check_alone(client, settings.stack)
    async with (
        running_checker() as checker,
        chosen_images(settings) as images,
        chosen_videos(settings) as videos,
        http_client(
            seconds=30, transport=result_transport(settings, images, videos)
        ) as result_http,
    ):
        disk = disk or Disk(settings.data_dir)
        storage = Storage(
            result_http,
            disk,
            checker=checker,
            vendors=settings.vendor_addresses(),
            data_dir=settings.data_dir,
            store=chosen_store(settings),
            max_bytes=settings.max_result_bytes,
        )
        parts = Dependencies(
            settings=settings, client=client, images=images, videos=videos, storage=storage
        )
        local = StateActivities(settings, disk, requests=Requests(client))
        stage, drain = StageActivities(parts, local), DrainActivities(parts)
        activities: list[Callable[..., Any]] = [
            stage.gen_image,
            stage.request_video,
            stage.collect_video,
            stage.fetch_video,
            drain.drain_job,
            drain.open_records,
            local.record_state,
            local.enter_queue,
        ]
        async with _worker(client, activities, settings=settings, task_queue=task_queue) as worker:
            yield worker


def _worker(
    client: Client,
    activities: list[Callable[..., Any]],
    *,
    settings: WorkerSettings,
    task_queue: str,
) -> Worker:
    runner = WorkflowRunner("services")
    worker = Worker(
        client,
        task_queue=task_queue,
        workflows=[GenVideoWorkflow],
        activities=activities,
        interceptors=[JobInterceptor(), DropInvalidSignals()],
        workflow_runner=runner,
        tuner=tuner(),
        sticky_queue_schedule_to_start_timeout=settings.pace.times.sticky,
        max_heartbeat_throttle_interval=HEARTBEAT_THROTTLE,
        default_heartbeat_throttle_interval=HEARTBEAT_THROTTLE,
        graceful_shutdown_timeout=timedelta(seconds=settings.shutdown_seconds),
        build_id=BUILD_ID,
    )
    runner.serve(worker)
    return worker


# A job awaits little else than its turn; a worker can hold many.
MAX_ACTIVITIES = 200
MAX_LOCAL_ACTIVITIES = 100
# A workflow task of ours takes 10 to 30 ms of this process, and all in hand take their time from
# one another: 100 of them (the SDK's default), in a flood of new jobs, come near their time-out.
MAX_KNOWN, MAX_NEW = 18, 1


def tuner() -> WorkerTuner:
    """A worker's bounds."""
    return WorkerTuner.create_composite(
        workflow_supplier=WorkflowTaskSlots(),
        activity_supplier=FixedSizeSlotSupplier(MAX_ACTIVITIES),
        local_activity_supplier=FixedSizeSlotSupplier(MAX_LOCAL_ACTIVITIES),
        nexus_supplier=FixedSizeSlotSupplier(1),
    )


@dataclass(frozen=True)
class _Permit(SlotPermit):
    slots: asyncio.Semaphore


class WorkflowTaskSlots(CustomSlotSupplier):
    """Slots for the tasks of workflows that this worker knows (sticky ones), and one for others.

    The first task of a job is one of the others, and so is each one that had to leave the cache.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._known = asyncio.Semaphore(MAX_KNOWN)
        self._new = asyncio.Semaphore(MAX_NEW)

    async def reserve_slot(self, ctx: SlotReserveContext) -> SlotPermit:
        """Called on the worker's loop, before a poll."""
        slots = self._known if ctx.is_sticky else self._new
        await slots.acquire()
        return _Permit(slots)

    def try_reserve_slot(self, ctx: SlotReserveContext) -> SlotPermit | None:
        """No workflow is started by its own worker."""
        return None

    def mark_slot_used(self, ctx: SlotMarkUsedContext) -> None:
        """Nothing depends on it."""

    def release_slot(self, ctx: SlotReleaseContext) -> None:
        """Called from a thread of the SDK's core."""
        if isinstance(ctx.permit, _Permit):
            self._loop.call_soon_threadsafe(ctx.permit.slots.release)
