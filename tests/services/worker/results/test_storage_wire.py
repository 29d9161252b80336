"""What a hostile host can send where a result should come, over real HTTP."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.worker.policies import FETCH_TRIES
from services.worker.results import storage as module
from services.worker.results.disk import Disk
from services.worker.results.fetching import CheckedTransport
from services.worker.results.storage import Storage
from shared.errors import BadResult
from shared.http.client import http_client
from shared.jobs.assets import asset_path
from shared.jobs.states import Step
from tests.services.mock_core.serving import served
from tests.services.worker import hostile, samples
from tests.services.worker.results.test_storage import left_behind
from tests.services.worker.results.unconfined import Unconfined
from tests.services.worker.results.vendors import VENDOR

JOB = "job-0123456789abcdef01234567"
Headers = dict[bytes, bytes]


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FETCH_PAUSE_SECONDS", 0)


class Host:
    """Sends the same parts each time, with these headers, and remembers what was asked."""

    def __init__(self, parts: Callable[[], AsyncIterator[bytes]], **headers: str) -> None:
        self.asked: list[Headers] = []
        self._parts = parts
        self._headers = [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()]

    async def __call__(
        self, scope: Any, receive: Any, send: Callable[[dict[str, Any]], Awaitable[None]]
    ) -> None:
        self.asked.append(dict(scope["headers"]))
        await send({"type": "http.response.start", "status": 200, "headers": self._headers})
        async for part in self._parts():
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


def whole(body: bytes) -> Callable[[], AsyncIterator[bytes]]:
    async def parts() -> AsyncIterator[bytes]:
        yield body

    return parts


async def endless() -> AsyncIterator[bytes]:
    while True:
        yield bytes(10**5)
        # Nobody may be there any more to be waited for.
        await asyncio.sleep(0.001)


async def dripping() -> AsyncIterator[bytes]:
    while True:
        yield b"x"
        await asyncio.sleep(0.01)


def over_sockets(inside: frozenset[str]) -> CheckedTransport:
    return CheckedTransport(httpx.AsyncHTTPTransport(), inside=inside, outside=frozenset())


@asynccontextmanager
async def storing(host: Host, data_dir: Path) -> AsyncIterator[tuple[Storage, str]]:
    """Storage that may ask this host alone, and an address there."""
    async with served(host) as base:
        transport = over_sockets(frozenset({base.removeprefix("http://")}))
        async with http_client(transport=transport) as http:
            storage = Storage(
                http,
                Disk(data_dir),
                checker=Unconfined(),
                vendors=dict.fromkeys(Step, base),
                data_dir=data_dir,
                max_bytes=10**6,
            )
            yield storage, f"{base}/files/1"


async def refused(host: Host, data_dir: Path, reason: str) -> None:
    """The file is a bad one for this reason, and nothing of it is kept."""
    async with storing(host, data_dir) as (storage, url):
        with pytest.raises(BadResult, match=reason):
            await storage.store(url, JOB, step=Step.IMAGE, vendor=VENDOR)
    assert left_behind(data_dir) == []


async def test_a_file_is_asked_for_as_it_is(tmp_path: Path) -> None:
    host = Host(whole(samples.png()), content_encoding="identity")
    async with storing(host, tmp_path) as (storage, url):
        await storage.store(url, JOB, step=Step.IMAGE, vendor=VENDOR)
    assert [headers[b"accept-encoding"] for headers in host.asked] == [b"identity"]
    assert asset_path(tmp_path, JOB, Step.IMAGE).read_bytes() == samples.png()


@pytest.mark.parametrize("encoding", ["gzip, gzip", "gzip", "deflate", "br", "identity, gzip"])
async def test_what_comes_encoded_is_not_decoded(tmp_path: Path, encoding: str) -> None:
    host = Host(whole(hostile.gzip_bomb()), content_encoding=encoding)
    await refused(host, tmp_path, "is encoded")
    assert len(host.asked) == FETCH_TRIES


async def test_a_good_file_that_comes_encoded_is_none(tmp_path: Path) -> None:
    body = gzip.compress(samples.png())
    await refused(Host(whole(body), content_encoding="gzip"), tmp_path, "is encoded")


async def test_a_file_without_an_end_is_cut_off(tmp_path: Path) -> None:
    await refused(Host(endless), tmp_path, "larger than 1000000 bytes")


async def test_a_file_that_drips_is_not_waited_for_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FETCH_SECONDS", 0.3)
    host = Host(dripping)
    await refused(host, tmp_path, "not had within 0.3 s")
    assert len(host.asked) == 1
