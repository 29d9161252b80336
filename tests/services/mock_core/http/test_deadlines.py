"""A mock lets nobody drip a request for ever, nor leave an answer unread."""

import asyncio
from urllib.parse import urlsplit

import pytest

from services.mock_core.http import deadlines
from tests.services.mock_core.serving import kling, served

POST = b"POST /video/submit HTTP/1.1\r\nHost: 127.0.0.1\r\n"


@pytest.mark.parametrize("sent", [b"", POST, POST + b"Content-Length: 100\r\n\r\n{"])
async def test_a_request_that_does_not_end_is_cut_off(
    monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(deadlines, "REQUEST_SECONDS", 0.1)
    async with served(kling()) as base:
        parts = urlsplit(base)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        writer.write(sent)
        assert await reader.read() == b""
        writer.close()


async def test_who_does_not_read_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadlines, "UNREAD_SECONDS", 0.1)
    left = asyncio.Event()

    async def endless(scope: object, receive: object, send: object) -> None:
        assert callable(send)
        assert callable(receive)
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        leaving = asyncio.ensure_future(receive())
        while not leaving.done():
            await send({"type": "http.response.body", "body": b"x" * 10_000, "more_body": True})
            await asyncio.sleep(0)
        left.set()

    async with served(endless) as base:
        parts = urlsplit(base)
        _, writer = await asyncio.open_connection(parts.hostname, parts.port)
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        await left.wait()
        writer.close()
