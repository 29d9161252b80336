"""A stack of a chaos run's own: its ports, its data, and how its parts are struck."""

import asyncio
import contextlib
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from loadtest.settings import Settings
from tests.chaos.ground import Containers, Ground, Processes
from tests.chaos.proxy import Wire, wire_to
from tests.chaos.server import Server
from tests.chaos.vendors import VendorWires, vendor_wires
from tests.stack.driver import Stack, own_settings

# Some 10 events are a grant: a semaphore's run hands over after three of them.
SEMAPHORE_MAX_HISTORY = 30
# A job's time is long enough for every fault but the one that makes its time run out: on a busy
# machine a killed worker needs 20 s to come back.
CHAOS_SETTINGS = {
    "STORE_URL": "file:",
    "MOCK_LEDGER": "disk",
    "SEMAPHORE_MAX_HISTORY": str(SEMAPHORE_MAX_HISTORY),
    "JOB_SECONDS": "120",
    "IMAGE_ATTEMPT_SECONDS": "150",
    "VIDEO_ATTEMPT_SECONDS": "200",
    "IMAGE_GIVE_UP_SECONDS": "200",
    "VIDEO_GIVE_UP_SECONDS": "250",
    # Longer than a wire to a vendor holds a submit.
    "ACCEPT_SECONDS": "20",
    # Longer than the slowest video (140 s): a holder may be reset or terminated as it begins.
    "DRAIN_SECONDS": "170",
}
WORKERS = 2


@dataclass(frozen=True)
class Site:
    """Everything that a run reaches; `temporal` is an address that no fault of the wire is on.

    `vendors`: the wires from the workers to the mocks.
    """

    stack: Stack
    client: Client
    ground: Ground
    wire: Wire | None
    temporal: str
    vendors: VendorWires | None = None

    @property
    def job_seconds(self) -> float:
        """A job's whole time."""
        return float(self.stack.settings["JOB_SECONDS"])

    @property
    def settings(self) -> Settings:
        """The addresses as the load test's books are fetched from them."""
        stack = self.stack
        return Settings(
            api_url=stack.url("API_PORT"),
            callback_url=stack.url("CALLBACK_PORT"),
            image_service_url=stack.url("COMFYUI_PORT"),
            video_service_url=stack.url("KLING_PORT"),
            temporal_address=self.temporal,
            data_dir=Path(stack.settings["DATA_DIR"]),
        )


MakeSite = Callable[[Path], AbstractAsyncContextManager[Site]]


@contextlib.asynccontextmanager
async def as_processes(folder: Path, /, **changes: str) -> AsyncIterator[Site]:
    """The local mode; Temporal and the vendors are reached by wires that can be disturbed."""
    settings = _settings(folder, "local") | changes
    data, ui_port = Path(settings["DATA_DIR"]), int(settings["TEMPORAL_UI_PORT"])
    server = Server(data, int(settings["TEMPORAL_PORT"]), ui_port)
    await server.start()
    try:
        async with _wires(settings, server) as (wire, vendors):
            stack = Stack(settings | _over(wire, vendors))
            async with _up(stack, "down"):
                address = f"127.0.0.1:{server.port}"
                client = await _connect(address)
                yield Site(stack, client, Processes(stack, server), wire, address, vendors)
    finally:
        await server.stop()


@contextlib.asynccontextmanager
async def _wires(
    settings: dict[str, str], server: Server
) -> AsyncIterator[tuple[Wire, VendorWires]]:
    targets = (f"http://127.0.0.1:{settings[port]}" for port in ("COMFYUI_PORT", "KLING_PORT"))
    async with wire_to("127.0.0.1", server.port) as wire, vendor_wires(*targets) as vendors:
        yield wire, vendors


def _over(wire: Wire, vendors: VendorWires) -> dict[str, str]:
    return {
        "TEMPORAL_ADDRESS": f"127.0.0.1:{wire.port}",
        "IMAGE_SERVICE_URL": vendors.images.url,
        "VIDEO_SERVICE_URL": vendors.videos.url,
    }


@contextlib.asynccontextmanager
async def in_containers(folder: Path, /, **changes: str) -> AsyncIterator[Site]:
    """The very compose files; the server is a container like the others."""
    stack = Stack(_settings(folder, "docker") | changes)
    try:
        async with _up(stack, "down"):
            address = f"127.0.0.1:{stack.settings['TEMPORAL_PORT']}"
            yield Site(stack, await _connect(address), Containers(stack), None, address)
    finally:
        await asyncio.to_thread(_remove_images, stack.settings["COMPOSE_PROJECT_NAME"])


def _settings(folder: Path, mode: str) -> dict[str, str]:
    project = f"genvideo-chaos-{uuid4().hex[:8]}"
    return own_settings(folder, mode=mode, project=project) | CHAOS_SETTINGS


@contextlib.asynccontextmanager
async def _up(stack: Stack, *end: str) -> AsyncIterator[None]:
    try:
        await asyncio.to_thread(stack.make, "up", f"WORKERS={WORKERS}")
        yield
    finally:
        await asyncio.to_thread(stack.make, *end)


async def _connect(address: str) -> Client:
    return await Client.connect(address, data_converter=pydantic_data_converter)


def _remove_images(project: str) -> None:
    def docker(*words: str) -> list[str]:
        said = subprocess.run(["docker", *words], capture_output=True, text=True, check=False)
        return said.stdout.split()

    if images := docker("image", "ls", "--quiet", "--filter", f"reference={project}-*"):
        docker("image", "rm", "--force", *images)
