"""The event sockets, as the real server has them: one per client id, one loop that sends to all."""

import asyncio
import contextlib
import json
import struct
from collections.abc import Iterable
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

_PREVIEW, _PREVIEW_WITH_METADATA = 1, 4
_JPEG, _PNG = 1, 2
Message = dict[str, Any]


class Listener:
    """One open socket."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket
        self.wants_metadata = False
        self.dropped = asyncio.Event()

    async def send(self, message: str | bytes) -> None:
        """Waits where the other side doesn't read."""
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):
            if isinstance(message, bytes):
                await self._socket.send_bytes(message)
            else:
                await self._socket.send_text(message)

    async def close(self) -> None:
        if self._socket.application_state is WebSocketState.CONNECTED:
            with contextlib.suppress(WebSocketDisconnect, RuntimeError):
                await self._socket.close(1001)


class Hub:
    """Who comes second under an id takes the place of the first; who goes, takes it away.

    So of two sockets of one id both are deaf once either has closed.
    """

    def __init__(self) -> None:
        self._places: dict[str, Listener] = {}
        self._open: set[Listener] = set()
        self._frames: asyncio.Queue[tuple[list[Listener], str | bytes]] = asyncio.Queue()
        self._sending: asyncio.Task[None] | None = None
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._stolen = False

    def start(self) -> None:
        """Begin to send; what waited is lost."""
        self.stop()
        self._frames = asyncio.Queue()
        self._sending = asyncio.get_running_loop().create_task(self._send_all())

    def stop(self) -> None:
        if self._sending is not None:
            self._sending.cancel()

    def behave(self, mode: str) -> None:
        """`stalled`: nothing is sent until it is `live` again; `stolen`: all places are taken."""
        self._stolen = mode == "stolen"
        if self._stolen:
            self._places.clear()
        if mode == "stalled":
            self._flowing.clear()
        else:
            self._flowing.set()

    def add(self, client_id: str, listener: Listener) -> None:
        if not self._stolen:
            self._places[client_id] = listener
        self._open.add(listener)

    def remove(self, client_id: str, listener: Listener) -> None:
        self._open.discard(listener)
        self._places.pop(client_id, None)

    def send(self, client_id: str | None, kind: str, data: Message) -> None:
        """To the socket of this client, lost for good when there is none; without one, to all."""
        meant = self.meant(client_id)
        if meant:
            self._put(meant, encode(kind, data))

    def preview(self, client_id: str | None, metadata: Message, picture: bytes) -> None:
        """A JPEG in a binary frame, with its metadata for who has asked for it."""
        told = json.dumps(metadata).encode()
        head = struct.pack(">II", _PREVIEW_WITH_METADATA, len(told))
        meant = self.meant(client_id)
        self._put([it for it in meant if it.wants_metadata], head + told + picture)

    def plain_preview(self, client_id: str | None, picture: bytes, *, png: bool = False) -> None:
        """A picture in a binary frame, for who hasn't asked for metadata."""
        head = struct.pack(">II", _PREVIEW, _PNG if png else _JPEG)
        meant = self.meant(client_id)
        self._put([it for it in meant if png or not it.wants_metadata], head + picture)

    def drop_all(self) -> None:
        """Cut every connection, as a vendor that restarts does."""
        for listener in self._open:
            listener.dropped.set()
        self._places.clear()

    def meant(self, client_id: str | None) -> list[Listener]:
        """Who is told what is for this client, or without one for everybody."""
        if client_id is None:
            return list(self._places.values())
        return [self._places[client_id]] if client_id in self._places else []

    def _put(self, meant: Iterable[Listener], frame: str | bytes) -> None:
        listeners = list(meant)
        if listeners:
            self._frames.put_nowait((listeners, frame))

    async def _send_all(self) -> None:
        """One after another, so that who doesn't read holds up everybody."""
        while True:
            listeners, frame = await self._frames.get()
            await self._flowing.wait()
            for listener in listeners:
                if listener in self._open:
                    await listener.send(frame)


def encode(kind: str, data: Message) -> str:
    return json.dumps({"type": kind, "data": data}, ensure_ascii=True)
