"""Where strikes land: processes under supervisor, or containers; a target has one name in both."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

from compose.stack.processes import supervisor
from compose.stack.processes.programs import socket_path
from tests.chaos.schedule import SERVER, WORKERS
from tests.chaos.server import Server
from tests.stack.driver import Stack


class Ground(Protocol):
    """What can be done to a target; one that isn't there just now is left alone."""

    async def kill(self, target: str) -> None:
        """SIGKILL; whoever watches over it starts it again."""

    async def freeze(self, target: str, seconds: float) -> None:
        """SIGSTOP for so long, then SIGCONT."""

    async def restart(self, target: str) -> None:
        """An orderly stop, and a start."""


class Processes:
    """The local mode; the server is our own child, since a wire of ours leads to it."""

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
