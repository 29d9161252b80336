"""What the native routes share: the key, bodies, errors in the real server's shape, the queue."""

import hmac
import json
import math
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import Depends, Request
from starlette.datastructures import Headers
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from services.mock_comfyui.prompts.validation import mistake
from services.mock_comfyui.queue.prompt_queue import PromptQueue
from services.mock_comfyui.settings import NativeConfig

_TROUBLE = "500 Internal Server Error\n\nServer got itself in trouble"


async def queue_of(request: Request) -> PromptQueue:
    """Return the queue. It is async, because FastAPI runs other dependencies in a thread."""
    queue = request.app.state.queue
    assert isinstance(queue, PromptQueue)  # noqa: S101 - set by the factory
    return queue


TheQueue = Annotated[PromptQueue, Depends(queue_of)]


class NativeJson(JSONResponse):
    media_type = "application/json; charset=utf-8"


class MalformedBody(Exception):
    """The real server answers such a body with an internal error."""


async def on_trouble(_request: Request, _error: Exception) -> Response:
    return PlainTextResponse(_TROUBLE, status_code=500)


async def read_json(request: Request) -> dict[str, Any]:
    """Read the body as an object; raise MalformedBody if the real server would fail."""
    found = await parsed_body(request)
    if not isinstance(found, dict):
        raise MalformedBody
    return found


async def parsed_body(request: Request) -> Any:
    """Read the body as strict JSON of any kind, because other values can't be sent back; raise
    MalformedBody otherwise."""
    body = await request.body()
    try:
        found = json.loads(body, parse_float=_finite, parse_constant=_finite)
        if b"\\u" in body:
            # An escape may stand for half of a surrogate pair, which can't be encoded.
            json.dumps(found, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise MalformedBody from error
    return found


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is not a JSON number")
    return number


def listed(body: dict[str, Any], name: str) -> list[Any]:
    """Return the members of an optional list; anything else fails as at the real server."""
    found = body.get(name, [])
    if not isinstance(found, list):
        raise MalformedBody
    return found


def native_error(
    error: dict[str, Any], node_errors: dict[str, Any] | None = None, *, status: int = 400
) -> Response:
    return NativeJson({"error": error, "node_errors": node_errors or {}}, status_code=status)


def native_refusal(
    status: int | None, code: int | str | None, message: str | None, headers: dict[str, str]
) -> Response:
    """Send an injected refusal; 503 by default. The real server has no such answer."""
    error = mistake(str(code or "injected"), message or "refused", "")
    reply = native_error(error, status=status or 503)
    reply.headers.update(headers)
    return reply


_NATIVE = frozenset(
    {
        *("prompt", "queue", "history", "interrupt", "view", "ws", "upload", "system_stats", "api"),
        *("object_info", "models", "embeddings", "extensions", "features", "free", "users"),
        "settings",
    }
)


class Gate:
    """Check the key and the origin on native routes only."""

    def __init__(self, app: ASGIApp, *, config: Callable[[], NativeConfig]) -> None:
        self._app = app
        self._config = config

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        first = scope.get("path", "").lstrip("/").partition("/")[0]
        app = (self._instead(scope) if first in _NATIVE else None) or self._app
        await app(scope, receive, send)

    def _instead(self, scope: Scope) -> Response | None:
        headers, config = Headers(scope=scope), self._config()
        if config.key is not None:
            given = (headers.get("x-api-key", ""), headers.get("authorization", ""))
            wanted = (config.key, f"Bearer {config.key}")
            pairs = zip(given, wanted, strict=True)
            if not any(hmac.compare_digest(a.encode(), b.encode()) for a, b in pairs):
                return JSONResponse({"error": "unauthorized"}, status_code=401)
        # The real server refuses a page of another origin.
        origin = headers.get("origin", "").lower().partition("://")[2]
        is_other = origin not in ("", headers.get("host", "").lower())
        if is_other or headers.get("sec-fetch-site") == "cross-site":
            return Response(status_code=403)
        if config.is_old and scope["path"].startswith("/api/jobs"):
            return Response(status_code=404 if scope["method"] == "GET" else 405)
        return None
