"""The event sockets: who listens under which client id; a listener that is too slow is dropped."""

import asyncio
import contextlib
import json
import struct
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

_QUEUE = 1_000
_PREVIEW_EVENT, _JPEG = 1, 1
Message = dict[str, Any]


class Listener:
    """One open socket with a bounded queue."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket
        self._queue: asyncio.Queue[str | bytes | None] = asyncio.Queue(_QUEUE)

    def put(self, message: str | bytes) -> None:
        try:
            self._queue.put_nowait(message)
        except asyncio.QueueFull:
            self.drop()

    def drop(self) -> None:
        """End the connection as soon as the sender looks, whatever is still queued."""
        # Emptied first: the last word must fit in, and nobody can put another in between.
        while not self._queue.empty():
            self._queue.get_nowait()
        self._queue.put_nowait(None)

    async def send_all(self) -> None:
        """Send what comes until the other side is gone or it is dropped."""
        while (message := await self._queue.get()) is not None:
            try:
                if isinstance(message, bytes):
                    await self._socket.send_bytes(message)
                else:
                    await self._socket.send_text(message)
            except (WebSocketDisconnect, RuntimeError):
                return
        if self._socket.application_state is WebSocketState.CONNECTED:
            with contextlib.suppress(WebSocketDisconnect, RuntimeError):
                await self._socket.close(1001)


class Hub:
    def __init__(self) -> None:
        self._listeners: dict[str, set[Listener]] = {}

    def add(self, client_id: str, listener: Listener) -> None:
        self._listeners.setdefault(client_id, set()).add(listener)

    def remove(self, client_id: str, listener: Listener) -> None:
        group = self._listeners.get(client_id, set())
        group.discard(listener)
        if not group:
            self._listeners.pop(client_id, None)

    def listens(self, client_id: str | None) -> bool:
        return client_id is not None and client_id in self._listeners

    def send(self, client_id: str, kind: str, data: Message) -> None:
        """To every socket of this client; lost for good when there is none."""
        self._put(self._listeners.get(client_id, ()), kind, data)

    def broadcast(self, kind: str, data: Message) -> None:
        self._put([it for group in self._listeners.values() for it in group], kind, data)

    def preview(self, client_id: str, picture: bytes) -> None:
        """A binary frame: event number, format number, picture."""
        for listener in self._listeners.get(client_id, ()):
            listener.put(struct.pack(">II", _PREVIEW_EVENT, _JPEG) + picture)

    def drop_all(self) -> None:
        """Cut every connection, as a vendor that restarts does."""
        for listener in [it for group in self._listeners.values() for it in group]:
            listener.drop()

    @staticmethod
    def _put(listeners: Any, kind: str, data: Message) -> None:
        if not listeners:
            return
        text = encode(kind, data)
        for listener in list(listeners):
            listener.put(text)


def encode(kind: str, data: Message) -> str:
    return json.dumps({"type": kind, "data": data}, ensure_ascii=True)
