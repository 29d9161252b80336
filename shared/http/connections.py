"""Connections with time limits of ours: on each request's head and body, however slowly they drip,
and on whoever does not read what it asked for."""

import asyncio
import re
from asyncio.events import TimerHandle

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from shared.errors import GenvideoError
from shared.http.problems import from_error

# From a request's first byte, or the connection's beginning, to the end of its headers.
HEAD_SECONDS = 5.0
HEAD_BYTES = 64 * 1024
# From there to the end of its body.
BODY_SECONDS = 20.0
# What waits for a reader is to leave within so long, and a second more for so many bytes of it.
WRITE_SECONDS = 10.0
WRITE_BYTES = 64 * 1024


class MalformedRequest(
    GenvideoError, code="malformed_request", status=400, title="This is no request of HTTP"
):
    """What came can't be read as a request."""


class WriteDeadline(asyncio.Protocol):
    """Ends a connection whose other side has stopped reading; only then do bytes of ours wait."""

    loop: asyncio.AbstractEventLoop
    transport: asyncio.Transport
    _unread: TimerHandle | None = None

    def pause_writing(self) -> None:
        super().pause_writing()
        waiting = self.transport.get_write_buffer_size()
        self._unread = self.loop.call_later(
            WRITE_SECONDS + waiting / WRITE_BYTES, self.transport.abort
        )

    def resume_writing(self) -> None:
        super().resume_writing()
        self._forget()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget()
        super().connection_lost(exc)

    def _forget(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None


class GuardedSocket(WriteDeadline, WebSocketsSansIOProtocol):
    """uvicorn's own, which would pile up answers to the pings of someone who reads none of them,
    and hold a connection for ever whose request for a socket makes no sense."""

    def handle_ping(self) -> None:
        if self.writable.is_set():
            super().handle_ping()
        else:
            self.conn.data_to_send()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        # A request that can't be one for a socket (a POST, say) is neither answered nor ended.
        if self.conn.handshake_exc is not None and not self.handshake_initiated:
            self.transport.abort()


class GuardedConnection(WriteDeadline, HttpToolsProtocol):
    """uvicorn's own, which waits for a head or a body for ever, and holds a head of any size."""

    _limit: TimerHandle | None = None
    # Whether a head is being read; what comes behind a body as headers is none of the request's.
    _in_head = False
    # What the parser holds: all that came since it has told of a head, of a body or of an end.
    _held_bytes = 0
    _has_told = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch(HEAD_SECONDS)

    def data_received(self, data: bytes) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self._watch(HEAD_SECONDS)
        self._has_told = False
        super().data_received(data)
        self._held_bytes = 0 if self._has_told else self._held_bytes + len(data)
        if self._held_bytes > HEAD_BYTES:
            self.transport.abort()

    def _body_is_under_way(self) -> bool:
        return self.cycle is not None and self.cycle.more_body

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head = True

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head, self._has_told = False, True
        self._unwatch()
        self._hear_target()
        super().on_headers_complete()
        self._watch(BODY_SECONDS)

    def _hear_target(self) -> None:
        """A target that names a host asks for that one, too, whatever `Host` says."""
        _, absolute, rest = self.url.partition(b"://")
        named = (b"host", re.split(b"[/?#]", rest, maxsplit=1)[0])
        if absolute and not self.url.startswith(b"/") and named not in self.headers:
            self.headers.append(named)

    def send_400_response(self, msg: str) -> None:
        """What is no request is told so as every error is; uvicorn would do it in plain text."""
        answer = from_error(MalformedRequest(msg), {"Connection": "close"})
        lines = [b"HTTP/1.1 400 Bad Request", *(b": ".join(each) for each in answer.raw_headers)]
        self.transport.write(b"\r\n".join([*lines, b"", bytes(answer.body)]))
        self.transport.close()

    def on_body(self, body: bytes) -> None:
        self._has_told = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._has_told = True
        super().on_message_complete()
        if self.cycle is not None and not self.cycle.response_complete:
            self._unwatch()

    def handle_websocket_upgrade(self) -> None:
        # From here on the connection is another protocol's.
        self._unwatch()
        super().handle_websocket_upgrade()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        # An answer that came before the body had: the rest of it has as long as a head.
        if self._body_is_under_way():
            self._unwatch()
            self._watch(HEAD_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        self._unwatch()
        super().connection_lost(exc)

    def _watch(self, seconds: float) -> None:
        if self._limit is None:
            self._limit = self.loop.call_later(seconds, self.transport.abort)

    def _unwatch(self) -> None:
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None
