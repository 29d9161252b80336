"""Our services as processes of their own, what they use, and the cheapest client to load them."""

import asyncio
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.fixtures.processes import free_port, running

SECRET = "a-secret-of-32-characters-or-more"
PORTS = {
    "services.mock_comfyui": "COMFYUI_PORT",
    "services.mock_kling": "KLING_PORT",
    "services.semaphore": "SEMAPHORE_HTTP_PORT",
    "services.worker": "WORKER_HTTP_PORT",
    "services.callback": "CALLBACK_PORT",
    "services.api": "API_PORT",
}


@dataclass(frozen=True)
class Services:
    """Where those answer that are asked from outside."""

    api: str
    images: str
    videos: str


@asynccontextmanager
async def services(address: str, settings: Mapping[str, str]) -> AsyncIterator[Services]:
    """All of them, alive, for as long as the block runs; what they keep is gone with it."""
    async with AsyncExitStack() as exits:
        folder = Path(exits.enter_context(tempfile.TemporaryDirectory()))
        ports = {name: free_port() for name in PORTS.values()}
        at = {name: f"127.0.0.1:{port}" for name, port in ports.items()}
        environment = {
            "PATH": os.environ["PATH"],
            "TEMPORAL_ADDRESS": address,
            "DATA_DIR": str(folder),
            "CALLBACK_SECRET": SECRET,
            "IMAGE_SERVICE_URL": f"http://{at['COMFYUI_PORT']}",
            "VIDEO_SERVICE_URL": f"http://{at['KLING_PORT']}",
            "CALLBACK_URL": f"http://{at['CALLBACK_PORT']}",
            "MOCK_CALLBACK_HOSTS": at["CALLBACK_PORT"],
            "MOCK_PICTURE_HOSTS": at["COMFYUI_PORT"],
            "LOG_LEVEL": "WARNING",
            "STALL_SECONDS": "60",
            **{name: str(port) for name, port in ports.items()},
            **settings,
        }
        for module, name in PORTS.items():
            log = folder / f"{module}.log"
            each = running(module, name, environment=environment, log=log, port=ports[name])
            await exits.enter_async_context(each)
        urls = (f"http://{at[name]}" for name in ("API_PORT", "COMFYUI_PORT", "KLING_PORT"))
        yield Services(*urls)


@contextlib.contextmanager
def mock_process(module: str, port_name: str, **settings: str) -> Iterator[tuple[int, int]]:
    """Port and process id of a mock that has become ready."""
    port = free_port()
    environment = {**os.environ, port_name: str(port), "LOG_LEVEL": "WARNING", **settings}
    process = subprocess.Popen([sys.executable, "-m", f"services.{module}"], env=environment)
    try:
        started = time.monotonic()
        while True:
            with contextlib.suppress(httpx.HTTPError):
                httpx.get(f"http://127.0.0.1:{port}/readyz", trust_env=False).raise_for_status()
                break
            time.sleep(0.02)
        say(f"{module}: ready after {time.monotonic() - started:.2f} s")
        yield port, process.pid
    finally:
        process.terminate()
        process.wait()


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


@dataclass
class Connection:
    """One kept-alive connection; a reply must carry a Content-Length."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @classmethod
    async def open(cls, port: int) -> "Connection":
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def get(self, path: str) -> bytes:
        return await self._call(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())

    async def post(self, path: str, body: bytes) -> bytes:
        return (await self._post(path, body))[1]

    async def post_status(self, path: str, body: bytes) -> int:
        """The status of the reply, which is the second word of its head."""
        return int((await self._post(path, body))[0].split(maxsplit=2)[1])

    async def _post(self, path: str, body: bytes) -> tuple[bytes, bytes]:
        head = (
            f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        return await self._exchange(head.encode() + body)

    async def _call(self, request: bytes) -> bytes:
        return (await self._exchange(request))[1]

    async def _exchange(self, request: bytes) -> tuple[bytes, bytes]:
        self.writer.write(request)
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        return head, await self.reader.readexactly(length)

    def close(self) -> None:
        self.writer.close()
