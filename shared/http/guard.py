"""Refuse requests with a foreign `Host` or `Origin`, before anything else in every HTTP service."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from typing import Any, ClassVar

from prometheus_client import Counter
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from shared.errors import ForeignOrigin, GenvideoError, UnknownHost
from shared.http.hosts import LOOPBACK, ORIGIN, host_of
from shared.http.problems import documented, from_error

ANY_ORIGIN = "*"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
REFUSED = Counter("genvideo_foreign", "Requests of a foreign host or origin", ["code"])


class Gate(ABC):
    """Answers what `check` refuses, and passes everything else on."""

    refused: ClassVar[Counter | None] = None

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    @abstractmethod
    def check(self, scope: Scope) -> None:
        """Raise a GenvideoError to refuse a request or a socket."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            try:
                self.check(scope)
            except GenvideoError as error:
                if self.refused is not None:
                    self.refused.labels(error.code).inc()
                await from_error(error)(scope, receive, send)
                return
        await self._app(scope, receive, send)


class Guard(Gate):
    """Refuse foreign names, and changes or sockets by foreign pages.

    Own names are loopback's, `hosts`, and the address of the connection, so a name that a page
    resolves to this machine is foreign. `origins` may change something, too; `*` is any.
    """

    refused = REFUSED

    def __init__(
        self, app: ASGIApp, *, hosts: Collection[str] = (), origins: Collection[str] = ()
    ) -> None:
        super().__init__(app)
        self._hosts = LOOPBACK.union(hosts)
        self._origins = frozenset(origins)

    def check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        given = headers.getlist("host")
        if len(given) != 1 or not self._is_ours(host_of(given[0]), scope):
            raise UnknownHost(f"Host {_shown(given)} is unknown; ALLOWED_HOSTS adds more.")
        if scope["type"] == "websocket" or scope["method"] not in SAFE_METHODS:
            self._check_origin(headers.getlist("origin"), scope)

    def _check_origin(self, given: list[str], scope: Scope) -> None:
        """Refuse a foreign `Origin`. A browser always sends one for a page's change or socket."""
        if not given or ANY_ORIGIN in self._origins:
            return
        if len(given) == 1 and (
            given[0] in self._origins or self._is_ours(host_of(given[0], ORIGIN), scope)
        ):
            return
        raise ForeignOrigin(
            f"Origin {_shown(given)} is foreign; API_ORIGINS allows more at the API."
        )

    def _is_ours(self, host: str | None, scope: Scope) -> bool:
        if host in self._hosts:
            return True
        address = (scope.get("server") or ("", 0))[0]
        return bool(address) and host == (f"[{address}]" if ":" in address else address)


def document_refusals(paths: Mapping[str, Mapping[str, Any]]) -> None:
    """Add to each operation that a foreign host and a foreign page are refused."""
    named = documented(403, 421)
    for path in paths.values():
        for method, operation in path.items():
            operation["responses"].setdefault("421", named[421])
            if method.upper() not in SAFE_METHODS:
                operation["responses"].setdefault("403", named[403])


def _shown(given: list[str]) -> str:
    return repr(", ".join(given)[:100])
