"""Access control, before any route: the rate, the token, the form of a body."""

import re
import secrets

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from services.api.http.parts.rate_limit import RateLimit
from services.api.http.parts.session import PATH, Sessions, TokenMissing
from services.api.metrics import REFUSED
from services.api.settings import ApiSettings
from shared.errors import GenvideoError, NotJson
from shared.http.guard import SAFE_METHODS
from shared.http.problems import from_error

# Whoever watches over the process asks these, also while others ask for too much.
NEVER_LIMITED = frozenset({"/healthz", "/readyz", "/metrics"})
# The page's files have a suffix, what it asks for has none.
_OPEN = re.compile(r"/|/healthz|/readyz|/dashboard/([a-z/]+\.(js|css|svg)|(texts|errors)\.json)")
CODEC = "/codec/decode"
# What a script of another origin may read of an answer.
READABLE = ("Location", "Retry-After", "ETag", "Content-Range")


class AccessControl:
    """Lets a request in, or answers it with the first reason against it."""

    def __init__(self, app: ASGIApp, settings: ApiSettings) -> None:
        self._app = app
        token = settings.api_token
        self._token = None if token is None else token.get_secret_value().encode()
        self._sessions = Sessions(settings)
        self._exposed = settings.api_exposed
        self._rate_limit = RateLimit(settings.api_rate)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            self._check(scope)
        except GenvideoError as error:
            REFUSED.labels(error.code).inc()
            await from_error(error)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        if scope["type"] not in ("http", "websocket"):
            return
        self._check_rate(scope)
        changes = scope["type"] == "http" and scope["method"] not in SAFE_METHODS
        headers = Headers(scope=scope)
        if changes or (self._exposed and not _is_open(scope)):
            self._check_token(headers, scope["path"])
        if changes:
            _check_media_type(headers)

    def _check_rate(self, scope: Scope) -> None:
        client = scope.get("client")
        if client is None or scope["path"] in NEVER_LIMITED:
            return
        self._rate_limit.require(client[0], what="requests")

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
        """A cookie goes to all ports of a host: only our own page's calls may have it count."""
        origin = headers.get("origin")
        ours = origin is None or origin.partition("://")[2] == headers.get("host")
        return (ours or path == CODEC) and self._sessions.fits(headers.get("cookie", ""))


def _is_open(scope: Scope) -> bool:
    """Whether a token is never asked for: signs of life, and the page that asks for the token."""
    if scope["type"] == "websocket":
        return False
    # Before a browser sends a token it asks whether it may; that question carries none.
    return scope["method"] == "OPTIONS" or bool(_OPEN.fullmatch(scope["path"]))


def _check_media_type(headers: Headers) -> None:
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    empty = headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers
    if not empty and media_type != "application/json" and not media_type.endswith("+json"):
        raise NotJson("Content-Type: application/json.")


class Cors(CORSMiddleware):
    """Lets scripts of the listed origins read our answers; to all others it is as if not there."""

    def __init__(self, app: ASGIApp, settings: ApiSettings) -> None:
        super().__init__(
            app,
            allow_origins=sorted(settings.origins),
            allow_methods=["*"],
            allow_headers=["*"],
            expose_headers=READABLE,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        origin = Headers(scope=scope).get("origin") if scope["type"] == "http" else None
        if origin is not None and self.is_allowed_origin(origin):
            await super().__call__(scope, receive, send)
        else:
            await self.app(scope, receive, send)
