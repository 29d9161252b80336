"""A service of ours as a process of its own, on a free port; what it prints is kept."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from compose.stack.machine.ports import free_ports
from shared.http.client import http_client
from tests.fixtures.eventually import PATIENCE_SECONDS, eventually


@dataclass
class Running:
    """A process that answers on `base`."""

    process: asyncio.subprocess.Process
    base: str

    async def terminated(self) -> tuple[int, str]:
        """Ask it to end; exit status and all that it printed."""
        self.process.send_signal(signal.SIGTERM)
        output, _ = await asyncio.wait_for(self.process.communicate(), PATIENCE_SECONDS)
        return self.process.returncode or 0, output.decode()


def free_port() -> int:
    """A port that was free a moment ago, and that no connection is given by chance."""
    return free_ports(1)[0]


@asynccontextmanager
async def running(
    module: str,
    port_name: str,
    *,
    environment: dict[str, str],
    log: Path | None = None,
    port: int | None = None,
) -> AsyncIterator[Running]:
    """`python -m module`, from the moment it is alive; killed at the end where it still runs.

    What prints more than a pipe holds needs a file as its `log`.
    """
    port = port or free_port()
    with contextlib.ExitStack() as stack:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            module,
            env={**os.environ, **environment, port_name: str(port)},
            stdout=stack.enter_context(log.open("wb")) if log else asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
    base = f"http://127.0.0.1:{port}"
    try:
        await _alive(process, base)
        yield Running(process, base)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _alive(process: asyncio.subprocess.Process, base: str) -> None:
    async with http_client(base) as http:

        async def answers() -> bool:
            if process.returncode is not None:
                raise AssertionError(f"the service has ended; exit status {process.returncode}")
            with contextlib.suppress(httpx.TransportError):
                return bool(await http.get("/healthz"))
            return False

        await eventually(answers, bool)
