"""A bounded journal of the received requests, and the vendor's date on each reply."""

import time
from collections import deque
from collections.abc import Callable
from email.utils import formatdate
from itertools import islice
from typing import Any

from prometheus_client import Counter
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.mock_core.clock import rfc3339

_QUIET = ("/admin", "/healthz", "/readyz", "/metrics")


class Journal:
    def __init__(self, keep: int) -> None:
        self._rows: deque[dict[str, Any]] = deque(maxlen=keep)

    def note(self, started: float, scope: Scope, *, status: int, seconds: float) -> None:
        self._rows.append(
            {
                "at": started,
                "method": scope["method"],
                "path": scope["path"][:500],
                "query": scope["query_string"].decode("latin-1")[:500],
                "status": status or None,
                "seconds": round(seconds, 6),
            }
        )

    def rows(
        self, *, path: str = "", method: str = "", status: int | None = None, limit: int = 100
    ) -> list[dict[str, Any]]:
        """Return the rows, newest first; `path` is a part of the path."""
        found = (
            {**row, "at": rfc3339(row["at"])}
            for row in reversed(self._rows)
            if path in row["path"]
            and method in ("", row["method"])
            and status in (None, row["status"] or 0)
        )
        return list(islice(found, limit))

    def clear(self) -> None:
        self._rows.clear()


class JournalLayer:
    """Date each reply by the vendor's clock, which may be wrong, and note the request.

    `now` is the vendor's time in epoch seconds. Status 0: the reply never began.
    """

    def __init__(
        self, app: ASGIApp, *, journal: Journal, requests: Counter, now: Callable[[], float]
    ) -> None:
        self._app = app
        self._journal = journal
        self._requests = requests
        self._now = now

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status, started = 0, time.time()

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["Date"] = formatdate(self._now(), usegmt=True)
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            if not scope["path"].startswith(_QUIET):
                self._journal.note(started, scope, status=status, seconds=time.time() - started)
                self._requests.labels(scope["method"], str(status)).inc()
