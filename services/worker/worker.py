"""The worker of `genvideo`: the vendors that the settings name, and the checker of their files."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from temporalio.client import Client
from temporalio.worker import Worker

from services.worker.results.checker import running_checker
from services.worker.settings.worker import WorkerSettings
from services.worker.vendors.chosen import chosen_images, chosen_videos
from services.worker.workflows import GenVideoWorkflow
from shared.jobs.genvideo import IMAGE, VIDEO
from shared.pipeline.worker import pipeline_worker


@asynccontextmanager
async def running_worker(
    settings: WorkerSettings,
    client: Client,
    *,
    task_queue: str | None = None,
) -> AsyncIterator[Worker]:
    async with (
        running_checker() as checker,
        chosen_images(settings) as images,
        chosen_videos(settings) as videos,
        pipeline_worker(
            GenVideoWorkflow,
            settings,
            client,
            vendors={IMAGE.vendor: images, VIDEO.vendor: videos},
            checker=checker,
            task_queue=task_queue,
        ) as worker,
    ):
        yield worker
