"""Wires to the vendors: which the worker speaks, and proxies before each of them."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from temporalio.client import Client

from services.mock_kling.settings import DEFAULT_ACCESS_KEY, DEFAULT_API_KEY, DEFAULT_SECRET_KEY
from services.semaphore.worker import running_semaphore
from services.worker.worker import running_worker
from tests.chaos.wires import VendorWire, vendor_wire
from tests.services.mock_core.serving import Json
from tests.services.worker.graphs.examples import WITHOUT_MODELS
from tests.workflow.pipeline import Pipeline, pipeline

KLING: Json = {"video_api": "kling", "kling_api_key": DEFAULT_API_KEY}
SIGNED: Json = {
    "video_api": "kling",
    "kling_access_key": DEFAULT_ACCESS_KEY,
    "kling_secret_key": DEFAULT_SECRET_KEY,
}

# The prompt alone goes into the graph, as the rules of a test name it.
COMFYUI: Json = {
    "image_api": "comfyui",
    "comfyui_workflow": WITHOUT_MODELS,
    "comfyui_prompt": "{prompt}",
    "comfyui_width": 640,
    "comfyui_height": 360,
}


# How long a worker bears what vendors do, in seconds; far beyond what the tests do to it.
PATIENCE: dict[str, float] = {
    "image_give_up_seconds": 60,
    "video_give_up_seconds": 60,
    "image_lost_seconds": 30,
    "video_lost_seconds": 30,
    "accept_seconds": 8,
}


@dataclass
class Wired(Pipeline):
    """A pipeline whose vendors are reached over wires."""

    image_wire: VendorWire
    video_wire: VendorWire

    def wire(self, step: str) -> VendorWire:
        return {"image": self.image_wire, "video": self.video_wire}[step]


@contextlib.asynccontextmanager
async def over_wires(client: Client, data_dir: Path, **changes: Any) -> AsyncIterator[Wired]:
    """Mocks, wires, receiver and a semaphore; no worker yet."""
    async with (
        pipeline(client, data_dir, **PATIENCE, **changes) as line,
        vendor_wire(line.settings.image_service_url) as images,
        vendor_wire(line.settings.video_service_url) as videos,
    ):
        addresses = {"image_service_url": images.url, "video_service_url": videos.url}
        settings = line.settings.model_copy(update=addresses)
        # A vendor that refused a second one would hide that it was asked for it.
        await line.videos.http.put("/admin/config", json={"duplicates": "accept"})
        async with running_semaphore(client, shutdown_seconds=0.1):
            yield Wired(client, settings, line.images, line.videos, images, videos)


@contextlib.asynccontextmanager
async def wired(client: Client, data_dir: Path, **changes: Any) -> AsyncIterator[Wired]:
    async with (
        over_wires(client, data_dir, **changes) as line,
        running_worker(line.settings, client),
    ):
        yield line
