"""HTTP connections with a time limit of ours on every request's head, however slowly it drips."""

import asyncio
from asyncio.events import TimerHandle

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# From a request's first byte, or the connection's beginning, to the end of its headers.
HEAD_SECONDS = 5.0
HEAD_BYTES = 64 * 1024


class GuardedConnection(HttpToolsProtocol):
    """uvicorn's own, which would wait for a head for ever, and hold one of any size."""

    _limit: TimerHandle | None = None
    _head_bytes = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self._watch()
        super().data_received(data)
        if self._limit is not None and not self._body_is_under_way():
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES:
                self.transport.abort()

    def _body_is_under_way(self) -> bool:
        return self.cycle is not None and self.cycle.more_body

    def on_headers_complete(self) -> None:
        self._unwatch()
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        # An answer that came before the body had: the rest of it has the same time.
        if self._body_is_under_way():
            self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._unwatch()
        super().connection_lost(exc)

    def _watch(self) -> None:
        if self._limit is None:
            self._head_bytes = 0
            self._limit = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

    def _unwatch(self) -> None:
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None
