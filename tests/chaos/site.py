"""A stack of a chaos run's own: its ports, its data, its server, and how its parts are struck."""

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from compose.stack import supervisor
from compose.stack.local import socket_path
from loadtest.settings import Settings
from tests.chaos.schedule import SERVER, WORKERS
from tests.chaos.wires import IMAGE_WIRE, VIDEO_WIRE, VendorWire, vendor_wire
from tests.fixtures.streams import Wire, wire_to
from tests.stack.driver import Stack, own_settings


class Processes:
    """Stacks in the local mode; the supervisor of each starts again what has ended.

    A target that isn't there just now is left alone, here as in containers.
    """

    def __init__(self, *stacks: Stack) -> None:
        self._sockets = [socket_path(Path(each.settings["DATA_DIR"], "run")) for each in stacks]

    async def kill(self, target: str) -> None:
        _signal(await self._pids(target), signal.SIGKILL)

    async def freeze(self, target: str, seconds: float) -> None:
        pids = await self._pids(target)
        _signal(pids, signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            _signal(pids, signal.SIGCONT)

    async def restart(self, target: str) -> None:
        _signal(await self._pids(target), signal.SIGTERM)

    async def _pids(self, target: str) -> list[int]:
        asked = (
            asyncio.to_thread(supervisor.call, each, "supervisor.getAllProcessInfo")
            for each in self._sockets
        )
        found = [row for rows in await asyncio.gather(*asked) for row in rows]
        running = [row for row in found if row["statename"] == "RUNNING"]
        return [row["pid"] for row in running if _is(row["name"], target)]


def _is(name: str, target: str) -> bool:
    return name == target or (target == WORKERS and name.startswith("worker-"))


def _signal(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


class Containers:
    """The project of containers; the server is one of them."""

    def __init__(self, stack: Stack) -> None:
        self._project = stack.settings["COMPOSE_PROJECT_NAME"]

    async def kill(self, target: str) -> None:
        """The process inside: a killed container would count as stopped on purpose."""
        for name in await self._names(target):
            await _docker("exec", name, "bash", "-c", "kill -9 $(cat /proc/1/task/1/children)")

    async def freeze(self, target: str, seconds: float) -> None:
        names = await self._names(target)
        for name in names:
            await _docker("pause", name)
        try:
            await asyncio.sleep(seconds)
        finally:
            for name in names:
                await _docker("unpause", name)

    async def restart(self, target: str) -> None:
        if names := await self._names(target):
            await _docker("restart", *names)

    async def _names(self, target: str) -> list[str]:
        label = f"label=com.docker.compose.project={self._project}"
        said = await _docker("ps", "--filter", label, "--format", "{{.Names}}")
        names = [name.removeprefix(f"{self._project}-") for name in said.split()]
        single = target if target.startswith("worker-") else f"{target}-1"
        wanted = {name for name in names if name == single or _is(name, target)}
        return [f"{self._project}-{name}" for name in sorted(wanted)]


async def _docker(*words: str) -> str:
    """What docker prints; a container that is down or frozen just now is no error here."""
    process = await asyncio.create_subprocess_exec(
        "docker", *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    said, _ = await process.communicate()
    return said.decode()


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
WORKER_COUNT = 2


@dataclass(frozen=True)
class Site:
    """Everything that a run reaches; `temporal` is an address that no fault of the wire is on.

    `vendors`: the wires from the workers to the mocks, if they can be held.
    """

    stack: Stack
    client: Client
    ground: Processes | Containers
    wire: Wire | None
    temporal: str
    vendors: Mapping[str, VendorWire] = field(default_factory=dict)

    @property
    def job_seconds(self) -> float:
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
    """The local mode; Temporal and the vendors are reached by wires that can be disturbed.

    The server is a stack of its own, because a wire leads to it.
    """
    settings = _settings(folder, "local") | changes
    place = {"DATA_DIR": str(Path(settings["DATA_DIR"], "server"))}
    server = Stack(settings | place | {"ROLES": SERVER})
    address = f"127.0.0.1:{settings['TEMPORAL_PORT']}"
    mocks = (f"http://127.0.0.1:{settings[name]}" for name in ("COMFYUI_PORT", "KLING_PORT"))
    async with (
        _up(server),
        wire_to("127.0.0.1", int(settings["TEMPORAL_PORT"])) as wire,
        vendor_wire(next(mocks)) as images,
        vendor_wire(next(mocks)) as videos,
    ):
        reached = {
            "TEMPORAL_ADDRESS": f"127.0.0.1:{wire.port}",
            "IMAGE_SERVICE_URL": images.url,
            "VIDEO_SERVICE_URL": videos.url,
        }
        stack = Stack(settings | reached)
        async with _up(stack):
            vendors = {IMAGE_WIRE: images, VIDEO_WIRE: videos}
            ground = Processes(stack, server)
            yield Site(stack, await _connect(address), ground, wire, address, vendors)


@contextlib.asynccontextmanager
async def in_containers(folder: Path, /, **changes: str) -> AsyncIterator[Site]:
    """The very compose files; the server is a container like the others."""
    stack = Stack(_settings(folder, "docker") | changes)
    try:
        async with _up(stack):
            yield await of_containers(stack)
    finally:
        await asyncio.to_thread(remove_images, stack.settings["COMPOSE_PROJECT_NAME"])


async def of_containers(stack: Stack) -> Site:
    address = f"127.0.0.1:{stack.settings['TEMPORAL_PORT']}"
    return Site(stack, await _connect(address), Containers(stack), None, address)


def _settings(folder: Path, mode: str) -> dict[str, str]:
    project = f"genvideo-chaos-{uuid4().hex[:8]}"
    return own_settings(folder, mode=mode, project=project) | CHAOS_SETTINGS


@contextlib.asynccontextmanager
async def _up(stack: Stack) -> AsyncIterator[None]:
    try:
        await asyncio.to_thread(stack.make, "up", f"WORKERS={WORKER_COUNT}")
        yield
    finally:
        await asyncio.to_thread(stack.make, "down")


async def _connect(address: str) -> Client:
    return await Client.connect(address, data_converter=pydantic_data_converter)


def remove_images(project: str) -> None:
    """Those that a project's containers were made from."""

    def docker(*words: str) -> list[str]:
        said = subprocess.run(["docker", *words], capture_output=True, text=True, check=False)
        return said.stdout.split()

    if images := docker("image", "ls", "--quiet", "--filter", f"reference={project}-*"):
        docker("image", "rm", "--force", *images)
