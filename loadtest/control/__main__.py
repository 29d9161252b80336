"""`python -m loadtest.control api DESCRIPTOR` or `worker`: one process of the negative control."""

import asyncio
import socket
import sys

import uvicorn
from temporalio.worker import Worker

from loadtest.control.api import create_app
from loadtest.control.naive import QUEUE, NaiveRecords, NaiveWorkflow, activities
from loadtest.settings import Settings
from loadtest.wire.temporal import connect


async def api(settings: Settings, descriptor: int) -> None:
    """Serve the API on an inherited listening socket until the process is ended."""
    app = create_app(await connect(settings), NaiveRecords(settings.data_dir))
    with socket.socket(fileno=descriptor) as listener:
        await uvicorn.Server(uvicorn.Config(app, log_level="warning")).serve([listener])


async def worker(settings: Settings) -> None:
    """Run workflows and activities until the process is ended."""
    client = await connect(settings)
    vendors = (settings.image_service_url, settings.video_service_url)
    async with (
        activities(*vendors, settings.data_dir) as calls,
        Worker(
            client,
            task_queue=QUEUE,
            workflows=[NaiveWorkflow],
            activities=[calls.gen_image, calls.request_video],
        ),
    ):
        await asyncio.Event().wait()


if __name__ == "__main__":
    role = sys.argv[1]
    asyncio.run(api(Settings(), int(sys.argv[2])) if role == "api" else worker(Settings()))
