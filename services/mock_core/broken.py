"""Replies that never arrive whole: reset, hung, torn or dripped; only faults use them."""

import asyncio
import socket
import struct
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
        """Drop the connection so that the caller sees a reset and not an orderly end."""
        wire: Any = self.transport.get_extra_info("socket")
        if wire is not None:
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NONE)
        self.transport.abort()


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _reset(scope: Scope, receive: Receive) -> None:
    extension = scope.get("extensions", {}).get(RESET_EXTENSION)
    if extension is None:
        raise ConnectionResetError("this server cannot reset a connection")
    extension["reset"]()
    await _until_gone(receive)


async def _send_head(whole: Response, send: Send) -> None:
    await send(
        {
            "type": "http.response.start",
            "status": whole.status_code,
            "headers": whole.raw_headers,
        }
    )


async def _send_part(part: bytes, send: Send, *, more: bool = True) -> None:
    await send({"type": "http.response.body", "body": part, "more_body": more})


class ResetResponse(Response):
    """Send no byte, then reset."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await _reset(scope, receive)


class HungResponse(Response):
    """Send no byte until the caller gives up."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await _until_gone(receive)


class TornResponse(Response):
    """Send the head and a share of the body, then reset."""

    def __init__(self, whole: Response, keep: float) -> None:
        super().__init__()
        self._whole = whole
        self._keep = keep

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = bytes(self._whole.body)
        await _send_head(self._whole, send)
        await _send_part(body[: int(len(body) * self._keep)], send)
        await asyncio.sleep(_PART_SECONDS)
        await _reset(scope, receive)


class DrippedResponse(Response):
    """Send the whole body, in drops spread over the given nominal seconds."""

    def __init__(self, whole: Response, clock: Clock, *, seconds: float, drops: int) -> None:
        super().__init__()
        self._whole = whole
        self._clock = clock
        self._seconds = seconds
        self._drops = drops

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = bytes(self._whole.body)
        size = max(-(-len(body) // self._drops), 1)
        await _send_head(self._whole, send)
        for start in range(0, len(body), size):
            await self._clock.sleep(self._seconds / self._drops)
            await _send_part(body[start : start + size], send)
        await _send_part(b"", send, more=False)
