"""The server that is struck: what it knew before a kill it knows afterwards."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from temporalio.client import Client

from compose.stack.machine.ports import free_ports
from tests.chaos.server import Server
from tests.fixtures.eventually import eventually

Strike = Callable[[Server], Awaitable[None]]


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    port, ui_port = free_ports(2)
    server = Server(tmp_path, port, ui_port)
    await server.start()
    yield server
    await server.stop()


async def connected(server: Server) -> Client:
    """A client as soon as the server is healthy, which comes a moment behind its open port."""

    async def try_it() -> Client | None:
        try:
            return await Client.connect(f"127.0.0.1:{server.port}")
        except RuntimeError:
            return None

    client = await eventually(try_it, lambda found: found is not None)
    assert client is not None
    return client


@pytest.mark.parametrize("strike", [Server.kill, Server.restart], ids=["killed", "restarted"])
async def test_it_comes_back_with_all_it_knew(server: Server, strike: Strike) -> None:
    client = await connected(server)
    started = await client.start_workflow("Nobody", id="kept", task_queue="nobody")
    pid = server.pid

    await strike(server)

    assert server.pid != pid
    after = await connected(server)
    assert (await after.get_workflow_handle("kept").describe()).run_id == started.result_run_id
