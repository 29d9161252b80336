"""`python -m loadtest.peers api PORT` or `worker`: one process of the negative control."""

import asyncio
import sys

import uvicorn
from temporalio.worker import Worker

from loadtest.peers.api import create_app
from loadtest.peers.naive import QUEUE, NaiveRecords, NaiveWorkflow, activities
from loadtest.settings import Settings
from loadtest.wire.temporal import connect


async def api(settings: Settings, port: int) -> None:
    """Serve the API on loopback until the process is ended."""
    app = create_app(await connect(settings), NaiveRecords(settings.data_dir))
    config = uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning")
    await uvicorn.Server(config).serve()


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
