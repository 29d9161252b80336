"""Access control before any route: the token or a session, and the form of a body."""

import hashlib
import hmac
import re
import secrets
import time
from typing import Any

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import cookie_parser
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from services.api.metrics import REFUSED
from services.api.settings import ApiSettings
from shared.errors import GenvideoError
from shared.http.bodies import require_json
from shared.http.guard import SAFE_METHODS, Gate

SESSION_SECONDS = 12 * 3600
# At this path a session does not replace the token, because it would never end otherwise.
PATH = "/session"


class TokenMissing(GenvideoError, status=401, title="The token is missing or wrong"):
    """With API_TOKEN, each change needs the token; at an exposed API each call does."""


class Sessions:
    """Signed cookies; the key is derived from API_TOKEN, so a new token ends all sessions."""

    def __init__(self, settings: ApiSettings) -> None:
        token = settings.api_token
        known = b"" if token is None else token.get_secret_value().encode()
        self._key = hmac.digest(known, b"genvideo api session", "sha256")
        self._secure = settings.public_url.startswith("https://")
        # Cookies are shared by all ports of a host, and so by all stacks of a machine.
        self._name = f"genvideo-session-{settings.api_port}"

    def begin(self, response: Response) -> None:
        response.set_cookie(
            self._name,
            self._signed(str(int(time.time()) + SESSION_SECONDS)),
            max_age=SESSION_SECONDS,
            httponly=True,
            samesite="strict",
            secure=self._secure,
        )

    def fits(self, cookies: str) -> bool:
        """True if one of these cookies is a session that has not ended."""
        given = cookie_parser(cookies).get(self._name, "")
        end, _, _ = given.partition(".")
        expected = self._signed(end).encode()
        genuine = hmac.compare_digest(given.encode("utf-8", "replace"), expected)
        return genuine and end.isascii() and end.isdigit() and time.time() < int(end)

    def _signed(self, end: str) -> str:
        signature = hmac.new(self._key, end.encode("utf-8", "replace"), hashlib.sha256)
        return f"{end}.{signature.hexdigest()}"


# The page's files have a suffix, its calls have none.
_OPEN = re.compile(r"/|/healthz|/readyz|/dashboard/([a-z/]+\.(js|css|svg)|(texts|errors)\.json)")
CODEC = "/codec/decode"
# The headers that a script of another origin may read.
READABLE = ("Location", "Retry-After", "ETag", "Content-Range")


class AccessControl(Gate):
    """Refuses a request for the first reason that there is."""

    refused = REFUSED

    def __init__(self, app: ASGIApp, settings: ApiSettings) -> None:
        super().__init__(app)
        token = settings.api_token
        self._token = None if token is None else token.get_secret_value().encode()
        self._sessions = Sessions(settings)
        self._exposed = settings.api_exposed

    def check(self, scope: Scope) -> None:
        changes = scope["type"] == "http" and scope["method"] not in SAFE_METHODS
        headers = Headers(scope=scope)
        if changes or (self._exposed and not _is_open(scope)):
            self._check_token(headers, scope["path"])
        chunked = "transfer-encoding" in headers
        if changes and (chunked or headers.get("content-length", "0") != "0"):
            require_json(headers)

    def _check_token(self, headers: Headers, path: str) -> None:
        if self._token is None:
            return
        scheme, _, given = headers.get("authorization", "").partition(" ")
        fits = secrets.compare_digest(given.strip().encode("latin-1", "replace"), self._token)
        if scheme.lower() == "bearer" and fits:
            return
        if path == PATH or not self._is_in_session(headers, path):
            raise TokenMissing("Authorization: Bearer, and the value of API_TOKEN.")

    def _is_in_session(self, headers: Headers, path: str) -> bool:
        """True for our own page's session only, because browsers send a cookie to all ports of a
        host."""
        origin = headers.get("origin")
        ours = origin is None or origin.partition("://")[2] == headers.get("host")
        return (ours or path == CODEC) and self._sessions.fits(headers.get("cookie", ""))


def _is_open(scope: Scope) -> bool:
    """True if a token is never needed: for health checks, and for the page that asks for it."""
    if scope["type"] == "websocket":
        return False
    # A browser's preflight carries no token.
    return scope["method"] == "OPTIONS" or bool(_OPEN.fullmatch(scope["path"]))


class Cors(CORSMiddleware):
    """Let scripts of some origins read our answers; without effect on other requests.

    With a `path` it is for that path only, else for requests of allowed origins.
    """

    def __init__(self, app: ASGIApp, /, *, path: str | None = None, **options: Any) -> None:
        super().__init__(app, **options)
        self._path = path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await (super().__call__ if self._applies(scope) else self.app)(scope, receive, send)

    def _applies(self, scope: Scope) -> bool:
        if scope["type"] != "http":
            return False
        if self._path is not None:
            return bool(scope["path"] == self._path)
        origin = Headers(scope=scope).get("origin")
        return origin is not None and self.is_allowed_origin(origin)
