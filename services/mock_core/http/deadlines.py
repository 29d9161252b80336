"""Time limits on whoever drips a request or leaves an answer unread; only faults may be slow."""

import asyncio
import re
from asyncio.events import TimerHandle

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from services.mock_core.http.problems import Problem, problem_response

# A whole request, its head and its body, from the connection's beginning or its own first byte.
REQUEST_SECONDS = 30.0
# What waits for a reader is to leave within so long, and a second more for so many bytes of it.
UNREAD_SECONDS = 10.0
UNREAD_BYTES = 64 * 1024


class ReadDeadline(asyncio.Protocol):
    """Ends a connection whose other side has stopped reading."""

    loop: asyncio.AbstractEventLoop
    transport: asyncio.Transport
    _unread: TimerHandle | None = None

    def pause_writing(self) -> None:
        super().pause_writing()
        seconds = UNREAD_SECONDS + self.transport.get_write_buffer_size() / UNREAD_BYTES
        self._unread = self.loop.call_later(seconds, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._unread is not None:
            self._unread.cancel()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._unread is not None:
            self._unread.cancel()
        super().connection_lost(exc)


class SocketWithDeadline(ReadDeadline, WebSocketsSansIOProtocol):
    """A WebSocket that is read."""


class RequestDeadline(ReadDeadline, HttpToolsProtocol):
    """uvicorn's protocol, which would wait for the rest of a request for ever."""

    _request: TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._begin()

    def data_received(self, data: bytes) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self._begin()
        super().data_received(data)

    def on_headers_complete(self) -> None:
        # A target that names a host asks for that one, too, whatever `Host` says.
        _, absolute, rest = self.url.partition(b"://")
        named = (b"host", re.split(b"[/?#]", rest, maxsplit=1)[0])
        if absolute and not self.url.startswith(b"/") and named not in self.headers:
            self.headers.append(named)
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """What is no request is told so as a problem; uvicorn would do it in plain text."""
        answer = problem_response(Problem(400, "malformed_request", detail=msg))
        answer.headers["Connection"] = "close"
        lines = [b"HTTP/1.1 400 Bad Request", *(b": ".join(each) for each in answer.raw_headers)]
        self.transport.write(b"\r\n".join([*lines, b"", bytes(answer.body)]))
        self.transport.close()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._end()

    def handle_websocket_upgrade(self) -> None:
        self._end()
        super().handle_websocket_upgrade()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end()
        super().connection_lost(exc)

    def _begin(self) -> None:
        if self._request is None:
            self._request = self.loop.call_later(REQUEST_SECONDS, self.transport.abort)

    def _end(self) -> None:
        if self._request is not None:
            self._request.cancel()
            self._request = None
