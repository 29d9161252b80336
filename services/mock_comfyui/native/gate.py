"""Before every native route: the key, whose page it is, and methods that all routes have."""

import hmac
from collections.abc import Callable
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.mock_comfyui.config import NativeConfig
from services.mock_core.problems import Responses

_NATIVE = frozenset(
    {
        *("prompt", "queue", "history", "interrupt", "view", "ws", "upload", "system_stats", "api"),
        *("object_info", "models", "embeddings", "extensions", "features", "free", "users"),
        *("settings", "view_metadata", ""),
    }
)
_UNAUTHORIZED = {"error": "unauthorized"}
# What the OpenAPI file says of it.
REFUSALS: Responses = {
    401: {
        "description": "Without the server's key, where it has one",
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "properties": {"error": {"type": "string"}},
                    "required": ["error"],
                },
                "example": _UNAUTHORIZED,
            }
        },
    },
    403: {
        "description": "From a page of another site; without a body where Sec-Fetch-Site says so"
    },
}
_METHOD_NOT_ALLOWED = "405: Method Not Allowed"


class Gate:
    """Routes of the plain wire, and the mock's own, are none of its business."""

    def __init__(self, app: ASGIApp, *, config: Callable[[], NativeConfig]) -> None:
        self._app = app
        self._config = config

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or not _is_native(scope["path"]):
            await self._app(scope, receive, send)
            return
        instead = self._instead(scope)
        if instead is not None:
            await instead(scope, receive, send)
        elif scope.get("method") == "HEAD":
            # The server itself leaves out the body.
            await self._app({**scope, "method": "GET"}, receive, _allowing(send))
        else:
            await self._app(scope, receive, _allowing(send))

    def _instead(self, scope: Scope) -> Response | None:
        headers, config = Headers(scope=scope), self._config()
        if not _has_key(headers, config.key):
            return JSONResponse(_UNAUTHORIZED, status_code=401)
        if _is_foreign(headers):
            return Response(status_code=403)
        if scope.get("method") == "OPTIONS":
            return Response()
        if config.is_old and scope["path"].startswith("/api/jobs"):
            if scope["method"] == "GET":
                return Response(status_code=404)
            headers_ = {"Allow": "GET,HEAD"}
            return Response(
                _METHOD_NOT_ALLOWED, status_code=405, media_type="text/plain", headers=headers_
            )
        return None


def _is_native(path: str) -> bool:
    """By its first word; `*`, which OPTIONS may ask for, has none."""
    return path.removeprefix("/").partition("/")[0] in _NATIVE


def _allowing(send: Send) -> Send:
    """A refused method hears of those that this gate answers, too."""

    async def told(message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] == 405:
            headers = MutableHeaders(raw=message["headers"])
            allowed = set(headers.get("allow", "").split(", "))
            ours = {"HEAD", "OPTIONS"} if "GET" in allowed else {"OPTIONS"}
            headers["allow"] = ", ".join(sorted(allowed | ours))
        await send(message)

    return told


def _has_key(headers: Headers, key: str | None) -> bool:
    if key is None:
        return True
    given = (headers.get("x-api-key", ""), headers.get("authorization", ""))
    return any(
        hmac.compare_digest(one.encode(), other.encode())
        for one, other in zip(given, (key, f"Bearer {key}"), strict=True)
    )


def _is_foreign(headers: Headers) -> bool:
    """As the real server finds it: a host of loopback wants the very same origin."""
    if headers.get("sec-fetch-site") == "cross-site":
        return True
    if "origin" not in headers or "host" not in headers:
        return False
    try:
        host = urlsplit(f"//{headers['host'].lower()}")
        origin = urlsplit(headers["origin"].lower())
    except ValueError:
        return True
    ours = host.netloc if ":" in origin.netloc else host.hostname
    return bool(_is_loopback(host.hostname) and origin.netloc and ours != origin.netloc)


def _is_loopback(name: str | None) -> bool:
    return name is not None and (name in ("localhost", "::1") or name.startswith("127."))
