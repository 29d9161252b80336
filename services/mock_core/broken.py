"""Replies that never arrive whole: reset, hung, torn or late; used by the faults alone."""

import asyncio
import socket
import struct
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

RESET_EXTENSION = "mock.reset"
_LINGER_NONE = struct.pack("ii", 1, 0)


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


class ResetResponse(Response):
    """No byte of an answer, then a reset."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await _reset(scope, receive)


class HungResponse(Response):
    """No byte of an answer until the caller gives up."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await _until_gone(receive)


class TornResponse(Response):
    """The head and a share of the body, then a reset."""

    def __init__(self, whole: Response, keep: float) -> None:
        super().__init__()
        self._whole = whole
        self._keep = keep

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = bytes(self._whole.body)
        await send(
            {
                "type": "http.response.start",
                "status": self._whole.status_code,
                "headers": self._whole.raw_headers,
            }
        )
        part = body[: int(len(body) * self._keep)]
        await send({"type": "http.response.body", "body": part, "more_body": True})
        # Let the part leave before the reset would throw it away.
        await asyncio.sleep(0.02)
        await _reset(scope, receive)
