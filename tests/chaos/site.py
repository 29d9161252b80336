"""A stack of a chaos run's own: its ports, its data, its server, and how its parts are struck."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from compose.stack import supervisor
from compose.stack.local import socket_path
from loadtest.settings import Settings
from tests.chaos.schedule import SERVER, WORKERS
from tests.chaos.wires import VendorWires, vendor_wires
from tests.fixtures.streams import Wire, wire_to
from tests.stack.driver import ROOT, Stack, own_settings

PATIENCE = 60.0
PAUSE = 0.05


class Server:
    """The stack's own server, with its own arguments and a database that outlives it."""

    def __init__(self, data_dir: Path, port: int, ui_port: int) -> None:
        self.port = port
        self._log = data_dir / "logs" / "temporal.log"
        self._env = dict(os.environ) | {
            "DATA_DIR": str(data_dir),
            "LISTEN_HOST": "127.0.0.1",
            "TEMPORAL_PORT": str(port),
            "TEMPORAL_UI_PORT": str(ui_port),
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        }
        self._process: Process
        self._one_at_a_time = asyncio.Lock()
        for folder in (data_dir / "temporal", self._log.parent):
            folder.mkdir(parents=True, exist_ok=True)

    @property
    def pid(self) -> int:
        """Its process id as long as it lives."""
        return self._process.pid

    async def start(self) -> None:
        """Start it, and return when it takes connections; one that ends at once is tried again."""
        await self._spawn()
        async with asyncio.timeout(PATIENCE):
            while not await self._answers():
                if self._process.returncode is not None:
                    await self._spawn()
                await asyncio.sleep(PAUSE)

    async def _spawn(self) -> None:
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                str(ROOT / "compose" / "temporal.sh"),
                env=self._env,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    async def kill(self) -> None:
        """SIGKILL, and a new start."""
        async with self._one_at_a_time:
            self._process.kill()
            await self._process.wait()
            await self.start()

    async def restart(self) -> None:
        """An orderly end, and a new start."""
        async with self._one_at_a_time:
            await self.stop()
            await self.start()

    async def stop(self) -> None:
        """An orderly end; by force where that takes too long."""
        if self._process.returncode is not None:
            return
        self._process.terminate()
        try:
            await asyncio.wait_for(self._process.wait(), PATIENCE / 2)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    async def _answers(self) -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        writer.close()
        return True


class Ground(Protocol):
    """What can be done to a target; one that isn't there just now is left alone."""

    async def kill(self, target: str) -> None:
        """Send SIGKILL; the supervisor starts it again."""

    async def freeze(self, target: str, seconds: float) -> None:
        """Send SIGSTOP, and SIGCONT after the given seconds."""

    async def restart(self, target: str) -> None:
        """An orderly stop, and a start."""


class Processes:
    """The local mode; the server is a child of this process, because a proxy leads to it."""

    def __init__(self, stack: Stack, server: Server) -> None:
        self._socket = socket_path(Path(stack.settings["DATA_DIR"], "run"))
        self._server = server

    async def kill(self, target: str) -> None:
        if target == SERVER:
            await self._server.kill()
        else:
            _signal(await self._pids(target), signal.SIGKILL)

    async def freeze(self, target: str, seconds: float) -> None:
        pids = [self._server.pid] if target == SERVER else await self._pids(target)
        _signal(pids, signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            _signal(pids, signal.SIGCONT)

    async def restart(self, target: str) -> None:
        if target == SERVER:
            await self._server.restart()
        else:
            _signal(await self._pids(target), signal.SIGTERM)

    async def _pids(self, target: str) -> list[int]:
        rows: list[dict[str, Any]] = await asyncio.to_thread(
            supervisor.call, self._socket, "supervisor.getAllProcessInfo"
        )
        found = [row for row in rows if _is(row["name"], target)]
        return [row["pid"] for row in found if row["statename"] == "RUNNING"]


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
        mocks = (f"http://127.0.0.1:{settings[port]}" for port in ("COMFYUI_PORT", "KLING_PORT"))
        async with wire_to("127.0.0.1", server.port) as wire, vendor_wires(*mocks) as vendors:
            settings |= {
                "TEMPORAL_ADDRESS": f"127.0.0.1:{wire.port}",
                "IMAGE_SERVICE_URL": vendors.images.url,
                "VIDEO_SERVICE_URL": vendors.videos.url,
            }
            stack = Stack(settings)
            async with _up(stack):
                address = f"127.0.0.1:{server.port}"
                client = await _connect(address)
                yield Site(stack, client, Processes(stack, server), wire, address, vendors)
    finally:
        await server.stop()


@contextlib.asynccontextmanager
async def in_containers(folder: Path, /, **changes: str) -> AsyncIterator[Site]:
    """The very compose files; the server is a container like the others."""
    stack = Stack(_settings(folder, "docker") | changes)
    try:
        async with _up(stack):
            address = f"127.0.0.1:{stack.settings['TEMPORAL_PORT']}"
            yield Site(stack, await _connect(address), Containers(stack), None, address)
    finally:
        await asyncio.to_thread(_remove_images, stack.settings["COMPOSE_PROJECT_NAME"])


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


def _remove_images(project: str) -> None:
    def docker(*words: str) -> list[str]:
        said = subprocess.run(["docker", *words], capture_output=True, text=True, check=False)
        return said.stdout.split()

    if images := docker("image", "ls", "--quiet", "--filter", f"reference={project}-*"):
        docker("image", "rm", "--force", *images)
