"""Connections that lie idle make room: neither one network's nor all together shut others out."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from fastapi import FastAPI, Request

from services.callback.http import connections
from services.callback.http.connections import CONNECTIONS, SharedConnection, network_of
from shared.http.client import http_client
from shared.jobs.ids import new_job_id
from tests.services.callback.conftest import SECRET, Vendor
from tests.shared.processes import free_port, running
from tests.shared.serving import serving

app = FastAPI()
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@app.get("/quick")
async def quick() -> str:
    return "done"


@app.post("/slow")
async def slow(request: Request) -> int:
    return len(await request.body())


@asynccontextmanager
async def connected(port: int, source: str = "127.0.0.1") -> AsyncIterator[Connection]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
    try:
        yield reader, writer
    finally:
        writer.close()


async def asked(connection: Connection) -> bytes:
    """The answer's status; empty where the connection has been cut off."""
    reader, writer = connection
    try:
        writer.write(b"GET /quick HTTP/1.1\r\nHost: x\r\n\r\n")
        line = await reader.readline()
        rest = await reader.readuntil(b'"done"') if line else b""
        assert rest or not line
    except ConnectionError:
        return b""
    return line[9:12]


@pytest.fixture
async def port(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    """A server with three places for a network, and nine in all."""
    monkeypatch.setattr(connections, "PER_NETWORK", 3)
    async with serving(app, connections=9, protocol=SharedConnection) as base:
        yield int(base.rpartition(":")[2])


async def test_the_longest_idle_of_a_network_makes_room(port: int) -> None:
    async with AsyncExitStack() as stack:
        there = [await stack.enter_async_context(connected(port)) for _ in range(3)]
        # The first one is used, so that the second has been idle for the longest time.
        for each in (*there, there[0]):
            assert await asked(each) == b"200"
        other = await stack.enter_async_context(connected(port, "127.0.0.2"))
        new = await stack.enter_async_context(connected(port))

        assert await asked(new) == b"200"
        assert [await asked(each) for each in there] == [b"200", b"", b"200"]
        assert await asked(other) == b"200"


async def test_one_that_is_being_answered_is_not_cut_off(port: int) -> None:
    async with AsyncExitStack() as stack:
        busy = [await stack.enter_async_context(connected(port)) for _ in range(3)]
        for _, writer in busy:
            writer.write(b"POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n")
            await writer.drain()
        # Answered behind the others: by now the server has their heads.
        other = await stack.enter_async_context(connected(port, "127.0.0.2"))
        assert await asked(other) == b"200"

        one_more = await stack.enter_async_context(connected(port))
        assert await asked(one_more) == b""
        for reader, writer in busy:
            writer.write(b"hi")
            assert (await reader.readline())[9:12] == b"200"


async def test_all_networks_together_shut_nobody_out(port: int) -> None:
    async with AsyncExitStack() as stack:
        for number in range(12):
            source = f"127.0.1.{number // 3}"
            await stack.enter_async_context(connected(port, source))
        new = await stack.enter_async_context(connected(port, "127.0.0.2"))
        assert await asked(new) == b"200"


async def test_a_thousand_idle_ones_do_not_shut_the_receiver(tmp_path: Path) -> None:
    environment = {
        "DATA_DIR": str(tmp_path),
        "CALLBACK_SECRET": SECRET,
        "TEMPORAL_ADDRESS": f"127.0.0.1:{free_port()}",
    }
    async with (
        running("services.callback", "CALLBACK_PORT", environment=environment) as service,
        AsyncExitStack() as stack,
        http_client(service.base) as http,
    ):
        vendor = Vendor(http, new_job_id(), tmp_path)
        vendor.record()
        port = int(service.base.rpartition(":")[2])
        for _ in range(CONNECTIONS):
            await stack.enter_async_context(connected(port))
        assert (await vendor.send("processing")).status_code == 200


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
    ],
)
def test_what_shares_its_places(address: str, network: str) -> None:
    assert network_of(address) == network
