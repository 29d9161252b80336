"""What stands before the Temporal UI, over real sockets: who gets through, and with what."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator

import pytest

from compose import ui_proxy
from compose.ui_proxy import Allowed, Proxy

PUBLIC = "https://ui.example"
FURTHER = "Tunnel.example, 10.1.2.3,[fd00::1], fd00::2"


async def closed(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


class Ui:
    """Answers every request with the bytes that it got; closes where it was asked to."""

    def __init__(self) -> None:
        self.heads: list[str] = []
        self.gone = asyncio.Event()

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        self.heads.append(head)
        if head.startswith("GET /wait"):
            await reader.read()
            self.gone.set()
        length = next((int(x[16:]) for x in head.split("\r\n") if "Content-Length: " in x), 0)
        body = await reader.readexactly(length)
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + body)
        await closed(writer)


async def _numbers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """The server's own metrics."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\naction 1")
    await closed(writer)


@pytest.fixture
async def ui() -> Ui:
    return Ui()


@pytest.fixture
async def port(ui: Ui) -> AsyncIterator[int]:
    """Where the proxy listens."""
    behind = await asyncio.start_server(ui.connected, "127.0.0.1", 0)
    numbers = await asyncio.start_server(_numbers, "127.0.0.1", 0)
    places = [server.sockets[0].getsockname() for server in (behind, numbers)]
    proxy = Proxy(places[0], Allowed.of(PUBLIC, FURTHER), places[1])
    before = await proxy.serve("127.0.0.1", 0)
    yield before.sockets[0].getsockname()[1]
    for server in (before, behind, numbers):
        server.close()
        await server.wait_closed()


async def ask(port: int, text: str) -> tuple[int, bytes]:
    """Status and body of a raw request; 0 where there is no answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(text.replace("\n", "\r\n").encode("latin-1"))
    answer = b""
    with contextlib.suppress(ConnectionResetError):
        answer = await reader.read()
    await closed(writer)
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]) if head else 0, body


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1:8080", "localhost", "LOCALHOST:1", "[::1]:8080", "ui.example"),
        *("tunnel.example:8080", "10.1.2.3", "[fd00::1]:8080", "[fd00::2]"),
    ],
)
async def test_names_of_ours_are_let_through(port: int, ui: Ui, host: str) -> None:
    assert await ask(port, f"GET /a?b=c HTTP/1.1\nHost: {host}\nConnection: keep-alive\n\n") == (
        200,
        b"",
    )
    assert ui.heads == [f"GET /a?b=c HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"]


async def test_the_servers_numbers_are_shown_to_whom_the_ui_is(port: int, ui: Ui) -> None:
    assert await ask(port, "GET /metrics HTTP/1.1\nHost: localhost\n\n") == (200, b"action 1")
    status, _ = await ask(port, "GET /metrics HTTP/1.1\nHost: evil.example\n\n")

    assert status == 421
    assert ui.heads == []


@pytest.mark.parametrize(
    "fields",
    [
        *("Host: evil.example:8080\n", "Host: 127.0.0.1.evil.example\n", "Host: \n", "X: 1\n"),
        *("Host: localhost\nHost: evil.example\n", "Host: localhost@evil.example\n"),
        *("Host: 10.1.2.4\n", "Host: \n", "Host: null\n"),
    ],
)
async def test_every_other_name_is_misdirected(port: int, ui: Ui, fields: str) -> None:
    status, body = await ask(port, f"GET / HTTP/1.1\n{fields}\n")
    assert status == 421
    assert json.loads(body)["code"] == "unknown_host"
    assert ui.heads == []


def change(origin: str, method: str = "POST", host: str = "127.0.0.1:8080") -> str:
    return f"{method} / HTTP/1.1\nHost: {host}\n{origin}Content-Length: 4\n\nbody"


@pytest.mark.parametrize(
    "text",
    [
        change(""),
        change("Origin: http://127.0.0.1:8080\n"),
        change("Origin: https://ui.example\n"),
        change("Origin: https://tunnel.example\n", host="tunnel.example"),
        change("Origin: http://evil.example\n", method="GET"),
    ],
)
async def test_our_own_pages_may_change_things(port: int, text: str) -> None:
    assert await ask(port, text) == (200, b"body")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
@pytest.mark.parametrize(
    "origin",
    [
        *("http://evil.example", "null", "http://127.0.0.1:6889", "http://localhost:8080", ""),
        *("http://ui.example", "https://ui.example.evil.example"),
        "http://127.0.0.1:8080\nOrigin: http://evil.example",
    ],
)
async def test_another_sites_page_may_not(port: int, ui: Ui, method: str, origin: str) -> None:
    status, body = await ask(port, change(f"Origin: {origin}\n", method))
    assert status == 403
    assert json.loads(body)["code"] == "foreign_origin"
    assert ui.heads == []


@pytest.mark.parametrize(
    "text",
    [
        "GET http://evil.example/ HTTP/1.1\nHost: localhost\n\n",
        "GET / HTTP/2.0\nHost: localhost\n\n",
        "CONNECT evil.example:1 HTTP/1.1\nHost: localhost\n\n",
        "GET / HTTP/1.1\nHost: localhost\n folded: 1\n\n",
        "GET / HTTP/1.1\nHost : evil.example\nHost: localhost\n\n",
        "GET / HTTP/1.1\nHost: localhost\nA: 1\rHost: evil.example\n\n",
        "\x16\x03\x01\n\n",
    ],
)
async def test_what_another_reader_might_see_otherwise_is_refused(
    port: int, ui: Ui, text: str
) -> None:
    assert (await ask(port, text))[0] == 400
    assert ui.heads == []


async def test_an_upgrade_is_not_passed_on(port: int, ui: Ui) -> None:
    await ask(port, "GET / HTTP/1.1\nHost: localhost\nConnection: Upgrade\nUpgrade: h2c\n\n")
    assert "pgrade" not in ui.heads[0]


async def test_a_head_without_an_end_is_given_up(
    port: int, ui: Ui, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ui_proxy, "HEAD_SECONDS", 0.05)
    assert await ask(port, "GET / HTTP/1.1\nHost: localhost\n") == (0, b"")
    assert await ask(port, f"GET / HTTP/1.1\nA: {'x' * 200_000}\n\n") == (0, b"")
    assert ui.heads == []


async def test_only_so_many_are_served_at_once(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ui_proxy, "MOST_CONNECTIONS", 1)
    _, idle = await asyncio.open_connection("127.0.0.1", port)
    assert await ask(port, "GET / HTTP/1.1\nHost: localhost\n\n") == (0, b"")
    await closed(idle)


async def test_the_ui_learns_that_who_asked_is_gone(port: int, ui: Ui) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /wait HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await writer.drain()
    await closed(writer)
    await asyncio.wait_for(ui.gone.wait(), 60)


async def test_where_the_ui_is_away_it_says_so() -> None:
    proxy = Proxy(("127.0.0.1", 1), Allowed.of(PUBLIC, ""), ("127.0.0.1", 1))
    before = await proxy.serve("127.0.0.1", 0)
    status, body = await ask(
        before.sockets[0].getsockname()[1], "GET / HTTP/1.1\nHost: localhost\n\n"
    )
    before.close()
    assert (status, json.loads(body)["code"]) == (502, "ui_unavailable")
