"""The worker process: one Temporal worker, its HTTP clients, its health; stops gracefully."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from temporalio.client import Client
from temporalio.worker import Worker

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
from services.worker.tuning import tuner
from services.worker.vendors.chosen import chosen_images, chosen_videos
from services.worker.workflows import GenVideoWorkflow
from shared.http.client import http_client
from shared.semaphore.sandbox import UnfitPassedOver, WorkflowRunner
from shared.store.chosen import chosen_store
from shared.temporal.client import BUILD_ID, GENVIDEO_QUEUE
from shared.temporal.stacks import check_alone


@asynccontextmanager
async def running_worker(
    settings: WorkerSettings,
    client: Client,
    *,
    task_queue: str = GENVIDEO_QUEUE,
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
        stage, drain, requests = StageActivities(parts), DrainActivities(parts), Requests(client)
        local = StateActivities(settings, disk, requests=requests)
        activities: list[Callable[..., Any]] = [
            stage.gen_image,
            stage.request_video,
            stage.collect_video,
            stage.fetch_video,
            drain.drain_job,
            drain.open_records,
            local.record_state,
            local.enter_queue,
            requests.withdraw_request,
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
        interceptors=[JobInterceptor(), UnfitPassedOver()],
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
