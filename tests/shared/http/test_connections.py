"""Connections that drip, flood or fall silent are ended; honest ones notice nothing."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from urllib.parse import urlsplit

import pytest
from fastapi import FastAPI, Request, Response, WebSocket, WebSocketDisconnect
from fastapi.responses import StreamingResponse
from websockets.asyncio.client import connect as open_socket

from shared.http import connections
from shared.http.client import http_client
from tests.shared.serving import serving

# More than the system keeps for a reader.
LARGE = 50_000_000

UPGRADE = (
    b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)

# Masked, with the key 0.
PING = b"\x89\x81\0\0\0\0%b"

app = FastAPI()


@app.post("/length")
async def length(request: Request) -> int:
    return len(await request.body())


@app.post("/headers")
async def headers(request: Request) -> list[str]:
    await request.body()
    return request.headers.getlist("x-said")


@app.get("/late")
async def late() -> None:
    """Is answered only when whoever asked has been cut off."""
    app.state.asked.set()
    await asyncio.Event().wait()


@app.post("/early")
async def early() -> str:
    """Answers without having read the body."""
    return "enough"


@app.get("/large")
async def large() -> Response:
    return Response(b"x" * LARGE)


@app.get("/endless")
async def endless() -> Response:
    return StreamingResponse(_parts())


async def _parts() -> AsyncIterator[bytes]:
    try:
        while True:
            yield b"x" * 10_000
            # What is sent to someone who has left is awaited by nobody.
            await asyncio.sleep(0)
    finally:
        app.state.left.set()


@app.websocket("/ws")
async def ws(socket: WebSocket) -> None:
    """Sends without end to whoever has said anything."""
    await socket.accept()
    await socket.receive()
    with suppress(WebSocketDisconnect):
        while True:
            await socket.send_bytes(b"x" * 10_000)
    app.state.left.set()


@pytest.fixture
async def base(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.1)
    app.state.left, app.state.asked = asyncio.Event(), asyncio.Event()
    async with serving(app) as base:
        yield base


async def connect(base: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    parts = urlsplit(base)
    return await asyncio.open_connection(parts.hostname, parts.port)


async def ended(reader: asyncio.StreamReader) -> bytes:
    """All that comes until the server ends the connection."""
    try:
        return await reader.read()
    except ConnectionResetError:
        return b""


async def flood(writer: asyncio.StreamWriter) -> None:
    """Headers without end."""
    while True:
        writer.write(b"A: " + b"x" * 1000 + b"\r\n")
        await writer.drain()


@pytest.mark.parametrize("sent", [b"", b"\r\n", b"POST /length HTTP/1.1\r\nHost: x\r\nA: "])
async def test_a_head_that_does_not_end_is_cut_off(base: str, sent: bytes) -> None:
    reader, writer = await connect(base)
    writer.write(sent)
    assert await ended(reader) == b""
    writer.close()


async def test_a_head_that_drips_after_a_good_request_is_cut_off(base: str) -> None:
    reader, writer = await connect(base)
    good = b"POST /length HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi"
    writer.write(good)
    answer = await reader.readuntil(b"\r\n\r\n") + await reader.readexactly(1)
    assert answer.endswith(b"2")
    writer.write(good[:20])
    assert await ended(reader) == b""
    writer.close()


async def test_an_endless_head_is_cut_off(base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 3600)
    reader, writer = await connect(base)
    writer.write(b"POST /length HTTP/1.1\r\nHost: x\r\n")
    with pytest.raises(ConnectionError):
        await flood(writer)
    assert await ended(reader) == b""
    writer.close()


async def test_an_endless_head_behind_a_request_that_is_being_answered_is_cut_off(
    base: str,
) -> None:
    reader, writer = await connect(base)
    writer.write(b"GET /late HTTP/1.1\r\nHost: x\r\n\r\n")
    await app.state.asked.wait()
    writer.write(b"GET /late HTTP/1.1\r\nHost: x\r\n")
    with pytest.raises(ConnectionError):
        await flood(writer)
    assert await ended(reader) == b""
    writer.close()


async def test_headers_without_end_behind_a_body_are_cut_off(base: str) -> None:
    reader, writer = await connect(base)
    writer.write(b"POST /length HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    writer.write(b"2\r\nhi\r\n0\r\n")
    with pytest.raises(ConnectionError):
        await flood(writer)
    assert await ended(reader) == b""
    writer.close()


async def test_headers_behind_a_body_are_none_of_the_requests(base: str) -> None:
    """Whoever stands before us has looked at those before the body alone."""
    reader, writer = await connect(base)
    writer.write(
        b"POST /headers HTTP/1.1\r\nHost: x\r\nX-Said: before\r\nConnection: close\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-Said: behind\r\n\r\n"
    )
    assert (await ended(reader)).endswith(b'["before"]')
    writer.close()


async def test_a_body_that_drips_on_after_its_answer_is_cut_off(base: str) -> None:
    reader, writer = await connect(base)
    writer.write(b"POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nx")
    assert b"enough" in await ended(reader)
    writer.close()


async def test_a_large_body_behind_a_small_head_is_read(base: str) -> None:
    async with http_client(base) as http:
        for _ in range(3):
            answer = await http.post("/length", content=b"x" * 1_000_000)
            assert answer.json() == 1_000_000


@pytest.mark.parametrize("upgrade", [b"", b"Connection: upgrade\r\nUpgrade: websocket\r\n"])
async def test_a_body_that_does_not_end_is_cut_off(
    base: str, monkeypatch: pytest.MonkeyPatch, *, upgrade: bytes
) -> None:
    monkeypatch.setattr(connections, "BODY_SECONDS", 0.1)
    reader, writer = await connect(base)
    writer.write(b"POST /length HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n" + upgrade)
    writer.write(b"\r\nx")
    assert await ended(reader) == b""
    writer.close()


async def test_drops_do_not_lengthen_a_bodys_time(
    base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "BODY_SECONDS", 0.3)
    reader, writer = await connect(base)
    writer.write(b"POST /length HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")

    async def drip() -> None:
        while True:
            writer.write(b"1\r\nx\r\n")
            await writer.drain()
            await asyncio.sleep(0.02)

    dripping = asyncio.create_task(drip())
    assert await ended(reader) == b""
    dripping.cancel()
    await asyncio.gather(dripping, return_exceptions=True)
    writer.close()


async def test_a_socket_outlives_the_time_of_a_head_and_a_body(
    base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "BODY_SECONDS", 0.1)
    async with open_socket(base.replace("http", "ws") + "/ws", proxy=None) as socket:
        await asyncio.sleep(0.3)
        await socket.send("go")
        assert len(await socket.recv()) == 10_000
        socket.transport.abort()


async def test_who_does_not_read_is_cut_off(base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "WRITE_SECONDS", 0.1)
    _, writer = await connect(base)
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    writer.write(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n")
    await app.state.left.wait()
    writer.close()


async def test_who_does_not_read_a_socket_is_cut_off(
    base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "WRITE_SECONDS", 0.1)
    address = base.replace("http", "ws") + "/ws"
    async with open_socket(address, proxy=None, max_queue=1) as socket:
        await socket.send("go")
        await app.state.left.wait()
        socket.transport.abort()


async def test_who_reads_slowly_has_the_whole_answer(
    base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "WRITE_SECONDS", 0.1)
    monkeypatch.setattr(connections, "WRITE_BYTES", LARGE // 20)
    async with http_client(base) as http, http.stream("GET", "/large") as answer:
        await asyncio.sleep(0.5)
        assert sum([len(part) async for part in answer.aiter_bytes()]) == LARGE


async def test_pings_of_someone_who_does_not_read_are_not_answered(
    base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each answer would wait in our memory."""
    opened: list[connections.GuardedSocket] = []
    made = connections.GuardedSocket.connection_made

    def noted(self: connections.GuardedSocket, transport: asyncio.Transport) -> None:
        opened.append(self)
        made(self, transport)

    monkeypatch.setattr(connections.GuardedSocket, "connection_made", noted)
    reader, writer = await connect(base)
    writer.write(UPGRADE)
    await reader.readuntil(b"\r\n\r\n")
    opened[0].pause_writing()
    opened[0].data_received(PING % b"1")
    opened[0].resume_writing()
    opened[0].data_received(PING % b"2")
    assert await reader.readexactly(3) == b"\x8a\x012"
    writer.transport.abort()
