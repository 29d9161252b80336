"""Connections that drip, flood or fall silent are ended; honest ones notice nothing."""

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest
from fastapi import FastAPI, Request

from shared import connections
from shared.http import http_client
from tests.shared.serving import serving

app = FastAPI()


@app.post("/length")
async def length(request: Request) -> int:
    return len(await request.body())


@app.post("/early")
async def early() -> str:
    """Answers without having read the body."""
    return "enough"


@pytest.fixture
async def base(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.1)
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
