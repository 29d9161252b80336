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

from services.mock_comfyui.prompts.nodes import mistake
from services.mock_comfyui.queue.prompt_queue import PromptQueue
from services.mock_comfyui.settings import NativeConfig

_TROUBLE = "500 Internal Server Error\n\nServer got itself in trouble"


async def queue_of(request: Request) -> PromptQueue:
    """Async, because FastAPI runs other dependencies in a thread."""
    queue = request.app.state.queue
    assert isinstance(queue, PromptQueue)  # noqa: S101 - set by the factory
    return queue


TheQueue = Annotated[PromptQueue, Depends(queue_of)]


class NativeJson(JSONResponse):
    media_type = "application/json; charset=utf-8"


class MalformedBody(Exception):
    """The real server answers such a body with an internal error."""


def trouble() -> Response:
    return PlainTextResponse(_TROUBLE, status_code=500)


async def on_trouble(_request: Request, _error: Exception) -> Response:
    return trouble()


async def read_json(request: Request) -> dict[str, Any]:
    """Read the body as an object; raise MalformedBody where the real server fails."""
    found = await parsed_body(request)
    if not isinstance(found, dict):
        raise MalformedBody
    return found


async def parsed_body(request: Request) -> Any:
    """Read the body as JSON of any kind; raise MalformedBody otherwise."""
    try:
        return _parsed(await request.body())
    except (ValueError, RecursionError) as error:
        raise MalformedBody from error


def _parsed(body: bytes) -> Any:
    """Parse strict JSON; raise ValueError, because other values can't be sent back."""
    found = json.loads(body, parse_float=_finite, parse_constant=_finite)
    if b"\\u" in body:
        # An escape may stand for half of a surrogate pair, which can't be encoded.
        json.dumps(found, ensure_ascii=False).encode()
    return found


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is no number of JSON's")
    return number


def native_error(error: dict[str, Any], node_errors: dict[str, Any] | None = None) -> Response:
    return NativeJson({"error": error, "node_errors": node_errors or {}}, status_code=400)


def native_refusal(
    status: int | None, code: int | str | None, message: str | None, headers: dict[str, str]
) -> Response:
    """Send an injected refusal; 503 by default. The real server has no such answer."""
    error = mistake(str(code or "injected"), message or "refused", "")
    body = {"error": error, "node_errors": {}}
    return NativeJson(body, status_code=status or 503, headers=headers)


_NATIVE = frozenset(
    {
        *("prompt", "queue", "history", "interrupt", "view", "ws", "upload", "system_stats", "api"),
        *("object_info", "models", "embeddings", "extensions", "features", "free", "users"),
        "settings",
    }
)
_UNAUTHORIZED = {"error": "unauthorized"}


class Gate:
    """Check the key and the origin on native routes only."""

    def __init__(self, app: ASGIApp, *, config: Callable[[], NativeConfig]) -> None:
        self._app = app
        self._config = config

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_native = scope["type"] != "lifespan" and scope["path"].split("/")[1] in _NATIVE
        app = (self._instead(scope) if is_native else None) or self._app
        await app(scope, receive, send)

    def _instead(self, scope: Scope) -> Response | None:
        headers, config = Headers(scope=scope), self._config()
        if not _has_key(headers, config.key):
            return JSONResponse(_UNAUTHORIZED, status_code=401)
        if _is_foreign(headers):
            return Response(status_code=403)
        if config.is_old and scope["path"].startswith("/api/jobs"):
            return Response(status_code=404 if scope["method"] == "GET" else 405)
        return None


def _has_key(headers: Headers, key: str | None) -> bool:
    if key is None:
        return True
    given = (headers.get("x-api-key", ""), headers.get("authorization", ""))
    return any(
        hmac.compare_digest(one.encode(), other.encode())
        for one, other in zip(given, (key, f"Bearer {key}"), strict=True)
    )


def _is_foreign(headers: Headers) -> bool:
    """True if a page of another origin asks; the real server refuses it."""
    origin = headers.get("origin", "").lower().partition("://")[2]
    is_other = origin not in ("", headers.get("host", "").lower())
    return is_other or headers.get("sec-fetch-site") == "cross-site"
