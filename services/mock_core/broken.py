"""Replies that never arrive whole: reset, hung, cut or slow; only faults use them."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from services.mock_core.clock import Clock

RESET_EXTENSION = "mock.reset"
_LINGER_NONE = struct.pack("ii", 1, 0)
# Send a part of the body before the reset discards it.
_PART_SECONDS = 0.02


class ResettableProtocol(HttpToolsProtocol):
    """uvicorn's protocol, with a way for the application to reset the connection."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {RESET_EXTENSION: {"reset": self.reset}}

    def reset(self) -> None:
        """Drop the connection so that the caller sees a reset, not an orderly end."""
        wire: Any = self.transport.get_extra_info("socket")
        if wire is not None:
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NONE)
        self.transport.abort()


class HungResponse(Response):
    """Send nothing until the caller gives up."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass


class ResetResponse(HungResponse):
    """Send no byte, then reset."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["extensions"][RESET_EXTENSION]["reset"]()
        await super().__call__(scope, receive, send)


class TornResponse(Response):
    """Send the head and half of the body, then reset."""

    def __init__(self, whole: Response) -> None:
        super().__init__(bytes(whole.body), whole.status_code, dict(whole.headers))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        head = {"status": self.status_code, "headers": self.raw_headers}
        await send({"type": "http.response.start", **head})
        part = self.body[: len(self.body) // 2]
        await send({"type": "http.response.body", "body": part, "more_body": True})
        await asyncio.sleep(_PART_SECONDS)
        await ResetResponse()(scope, receive, send)


async def dripped(body: bytes, clock: Clock, *, seconds: float, drops: int) -> AsyncIterator[bytes]:
    """Yield a body in evenly spaced drops."""
    size = max(-(-len(body) // drops), 1)
    for start in range(0, len(body), size):
        await clock.sleep(seconds / drops)
        yield body[start : start + size]
