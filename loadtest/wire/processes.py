"""CPU time of each service by its own /metrics, and of this process; a fall is a restart."""

import asyncio
import os
import re
import socket
import time
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from loadtest.settings import Settings
from loadtest.wire.http import Http, Unreachable

_CPU = re.compile(r"^process_cpu_seconds_total (\S+)", re.M)
_CODE = re.compile(r'^genvideo_code\{digest="(\w+)",package="([\w.]+)"\}', re.M)
RUNNER = "loadtest"
MOCKS = {"image": "mock-comfyui", "video": "mock-kling"}


def addresses(settings: Settings) -> dict[str, str]:
    """Return every process that may have metrics; several workers are distinguished by number."""
    found = {"api": settings.api_url, "callback": settings.callback_url}
    found |= {MOCKS[stage]: url for stage, url in settings.mocked.items()}
    found["semaphore"] = settings.semaphore_url
    workers = list(_workers(settings.worker_url, settings.workers))
    for place, url in enumerate(workers):
        found["worker" if len(workers) == 1 else f"worker-{place + 1}"] = url
    return found


def _workers(url: str, count: int) -> Iterable[str]:
    """Return the workers' addresses: successive ports on loopback, else all of a name."""
    parts = urlsplit(url)
    host, port = parts.hostname or "127.0.0.1", parts.port or 9100
    if host in ("127.0.0.1", "localhost"):
        return [f"http://{host}:{port + place}" for place in range(count)]
    try:
        known = socket.getaddrinfo(host, port, socket.AF_INET, socket.SOCK_STREAM)
    except OSError:
        return []
    return [f"http://{address}:{port}" for address in sorted({str(row[4][0]) for row in known})]


class Processes:
    """Reads all processes once per call; one that does not answer has no row."""

    def __init__(
        self, urls: dict[str, str], *, tokens: Mapping[str, SecretStr | None] = MappingProxyType({})
    ) -> None:
        self._clients = {
            name: Http(url, timeout=3, connections=1, token=tokens.get(name))
            for name, url in urls.items()
        }

    async def sample(self) -> list[dict[str, Any]]:
        rows = await asyncio.gather(*(self._one(*item) for item in self._clients.items()))
        return [row for row in rows if row is not None] + [_own()]

    async def code(self) -> dict[str, dict[str, str]]:
        """Return the digests of the packages that each process runs; one that does not answer has
        none."""
        texts = await asyncio.gather(*map(_metrics, self._clients.values()))
        return {
            name: {package: digest for digest, package in _CODE.findall(text)}
            for name, text in zip(self._clients, texts, strict=True)
            if name not in MOCKS.values()
        }

    async def close(self) -> None:
        for client in self._clients.values():
            await client.aclose()

    async def _one(self, name: str, http: Http) -> dict[str, Any] | None:
        found = _CPU.search(await _metrics(http))
        return {"at": time.time(), "name": name, "cpu": float(found[1])} if found else None


async def _metrics(http: Http) -> str:
    try:
        answer = await http.get("/metrics")
    except Unreachable:
        return ""
    return answer.text if answer.is_success else ""


def _own() -> dict[str, Any]:
    times = os.times()
    return {"at": time.time(), "name": RUNNER, "cpu": times.user + times.system}
