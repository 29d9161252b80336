"""Access control, before any route: the rate, the token, the form of a body."""

import secrets

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from services.api.http.rate_limit import RateLimit
from services.api.metrics import REFUSED
from services.api.settings import ApiSettings
from shared.errors import GenvideoError, NotJson
from shared.guard import SAFE_METHODS
from shared.problems import from_error

# Whoever watches over the process asks these, also while others ask for too much.
NEVER_LIMITED = frozenset({"/healthz", "/readyz", "/metrics"})
# What a script of another origin may read of an answer.
READABLE = ("Location", "Retry-After", "ETag", "Content-Range")


class TokenMissing(
    GenvideoError, code="token_missing", status=401, title="The token is missing or wrong"
):
    """With API_TOKEN set, whoever changes something shows it."""


class TooFast(
    GenvideoError, code="too_fast", status=429, title="Too many requests", retryable=True
):
    """One address asks more often than API_RATE allows."""


class AccessControl:
    """Lets a request in, or answers it with the first reason against it."""

    def __init__(self, app: ASGIApp, settings: ApiSettings) -> None:
        self._app = app
        token = settings.api_token
        self._token = None if token is None else token.get_secret_value().encode()
        self._rate_limit = RateLimit(settings.api_rate)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            self._check(scope)
        except GenvideoError as error:
            REFUSED.labels(error.code).inc()
            asked = {"WWW-Authenticate": "Bearer"} if isinstance(error, TokenMissing) else {}
            await from_error(error, asked)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        if scope["type"] not in ("http", "websocket"):
            return
        self._check_rate(scope)
        if scope["type"] == "http" and scope["method"] not in SAFE_METHODS:
            headers = Headers(scope=scope)
            self._check_token(headers)
            _check_media_type(headers)

    def _check_rate(self, scope: Scope) -> None:
        client = scope.get("client")
        if client is None or scope["path"] in NEVER_LIMITED:
            return
        seconds = self._rate_limit.delay(client[0])
        if seconds > 0:
            raise TooFast(
                f"At most {self._rate_limit.rate} requests a second.", retry_after=seconds
            )

    def _check_token(self, headers: Headers) -> None:
        if self._token is None:
            return
        scheme, _, given = headers.get("authorization", "").partition(" ")
        fits = secrets.compare_digest(given.strip().encode("latin-1", "replace"), self._token)
        if scheme.lower() != "bearer" or not fits:
            raise TokenMissing("Authorization: Bearer, and the value of API_TOKEN.")


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
