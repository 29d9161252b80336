"""Before all else in every HTTP service: is it us who is addressed, and whose page sends it?"""

from collections.abc import Collection, Mapping
from typing import Any

from prometheus_client import Counter
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from shared.errors import ForeignOrigin, GenvideoError, UnknownHost
from shared.http.hosts import LOOPBACK, host_of_authority, host_of_origin
from shared.http.problems import documented, from_error

ANY_ORIGIN = "*"
# Of `/readyz`: the process group that answers, so that whoever has started it knows its own.
PROCESS_HEADER = "X-Process-Group"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
REFUSED = Counter("genvideo_foreign", "Requests of a foreign host or origin", ["code"])


class Guard:
    """Refuses names that are not ours, and what a foreign page would change or listen to.

    Ours are loopback's, `hosts`, and the very address that the connection came in at: a name that
    a page has lead to us is none of them. `origins` are let in beside our own, `*` is any.
    """

    def __init__(
        self, app: ASGIApp, *, hosts: Collection[str] = (), origins: Collection[str] = ()
    ) -> None:
        self._app = app
        self._hosts = LOOPBACK.union(hosts)
        self._origins = frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            try:
                self._check(scope)
            except GenvideoError as error:
                REFUSED.labels(error.code).inc()
                await from_error(error)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        given = headers.getlist("host")
        if len(given) != 1 or not self._is_ours(host_of_authority(given[0]), scope):
            raise UnknownHost(f"Host {_shown(given)} is none of ours; ALLOWED_HOSTS adds some.")
        if scope["type"] == "websocket" or scope["method"] not in SAFE_METHODS:
            self._check_origin(headers.getlist("origin"), scope)

    def _check_origin(self, given: list[str], scope: Scope) -> None:
        """A browser always tells the origin of a page that sends, or opens a socket."""
        if not given or ANY_ORIGIN in self._origins:
            return
        if len(given) == 1 and (
            given[0] in self._origins or self._is_ours(host_of_origin(given[0]), scope)
        ):
            return
        raise ForeignOrigin(
            f"Origin {_shown(given)} is none of ours; API_ORIGINS lets others in at the API."
        )

    def _is_ours(self, host: str | None, scope: Scope) -> bool:
        if host in self._hosts:
            return True
        here = scope.get("server")
        return host is not None and here is not None and host == _bracketed(here[0])


def document_refusals(paths: Mapping[str, Mapping[str, Any]]) -> None:
    """Add to each operation what is refused before it: a foreign host, and a foreign page."""
    named = documented(403, 421)
    for path in paths.values():
        for method, operation in path.items():
            operation["responses"].setdefault("421", named[421])
            if method.upper() not in SAFE_METHODS:
                operation["responses"].setdefault("403", named[403])


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _shown(given: list[str]) -> str:
    return repr(", ".join(given)[:100])
