"""Before all else: is it us who is addressed, and whose page sends it? A mock rules over faults."""

from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from services.mock_core.http.problems import Problem, problem_response
from services.mock_core.lib.hosts import LOOPBACK, host_of_authority, host_of_origin

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class Guard:
    """Refuses names that are not ours, foreign pages where they could do harm, and their forms.

    Ours are loopback's, `hosts`, and the very address that the connection came in at.
    """

    def __init__(self, app: ASGIApp, *, hosts: Collection[str]) -> None:
        self._app = app
        self._hosts = LOOPBACK.union(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            try:
                self._check(scope)
            except Problem as problem:
                await problem_response(problem)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        given = headers.getlist("host")
        if len(given) != 1 or not self._is_ours(host_of_authority(given[0]), scope):
            raise Problem(421, "unknown_host", detail=f"Host {_shown(given)} is none of ours")
        if scope["type"] == "http" and scope["method"] in _SAFE:
            return
        # A browser always tells the origin of a page that sends, or opens a socket.
        pages = headers.getlist("origin")
        if pages and not (len(pages) == 1 and self._is_ours(host_of_origin(pages[0]), scope)):
            raise Problem(403, "foreign_origin", detail=f"Origin {_shown(pages)} is none of ours")
        if scope["path"].startswith("/admin/"):
            _check_media_type(headers)

    def _is_ours(self, host: str | None, scope: Scope) -> bool:
        if host in self._hosts:
            return True
        here = scope.get("server")
        return host is not None and here is not None and host == _bracketed(here[0])


def _check_media_type(headers: Headers) -> None:
    """A form is what a page may send anywhere, unasked; its media type is never JSON's."""
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    empty = headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers
    if media_type != "application/json" and (media_type or not empty):
        raise Problem(415, "not_json", detail="Content-Type: application/json")


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _shown(given: list[str]) -> str:
    return repr(", ".join(given)[:100])
