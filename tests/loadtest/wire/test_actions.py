"""The server's own count out of its Prometheus text, as a server gives it."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from loadtest.wire.actions import counted, read

TEXT = """\
# HELP action action counter
# TYPE action counter
action{action_type="grpc_QueryWorkflow",namespace="default",operation="QueryWorkflow"} 213
action{action_type="grpc_QueryWorkflow",namespace="default",operation="Other"} 2
action{action_type="grpc_StartWorkflowExecution",namespace="temporal_system"} 2
action{action_type="command_StartTimer",namespace="default"} 1.5e+06
action_other{action_type="x",namespace="default"} 9
"""


def test_actions_of_a_namespace_are_added_up() -> None:
    assert read(TEXT, "default") == {"grpc_QueryWorkflow": 215.0, "command_StartTimer": 1.5e6}
    assert read(TEXT, "elsewhere") == {}


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """The numbers at one path alone; elsewhere there is a page."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    body = TEXT if head.startswith("GET /metrics HTTP/1.1") else "<html></html>"
    writer.write(f"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{body}".encode())
    writer.close()
    await writer.wait_closed()


@pytest.fixture
async def server() -> AsyncIterator[str]:
    listening = await asyncio.start_server(_answer, "127.0.0.1", 0)
    host, port = listening.sockets[0].getsockname()
    yield f"http://{host}:{port}"
    listening.close()
    await listening.wait_closed()


async def test_the_count_is_asked_for_where_it_is(server: str) -> None:
    assert await counted(f"{server}/metrics", "default") == read(TEXT, "default")
    assert await counted(f"{server}/metrics", "elsewhere") == {}


@pytest.mark.parametrize("url", ["", "http://127.0.0.1:9/metrics", "nowhere"])
async def test_a_server_that_does_not_answer_is_no_error(url: str) -> None:
    assert await counted(url, "default") is None


async def test_a_page_without_numbers_tells_nothing(server: str) -> None:
    assert await counted(server, "default") is None
