"""What the native routes share: the key, bodies, errors in the real server's shape, the queue."""

import hmac
import json
import math
from collections.abc import Callable
from typing import Annotated, Any
from urllib.parse import urlsplit

from fastapi import Depends, Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.mock_comfyui.prompts.nodes import missing, mistake
from services.mock_comfyui.queue.prompt_queue import PromptQueue
from services.mock_comfyui.settings import NativeConfig
from services.mock_core.problems import Responses, in_words_of

_TROUBLE = "500 Internal Server Error\n\nServer got itself in trouble"


async def queue_of(request: Request) -> PromptQueue:
    """Async, since FastAPI sends whatever else through a thread."""
    queue = request.app.state.queue
    assert isinstance(queue, PromptQueue)  # noqa: S101 - set by the factory
    return queue


TheQueue = Annotated[PromptQueue, Depends(queue_of)]
_ERROR = {
    "type": "object",
    "properties": {"error": {"type": "object"}, "node_errors": {"type": "object"}},
    "required": ["error", "node_errors"],
}
_MISSING = missing("images")
_INVALID_GRAPH = {
    "error": mistake(
        "prompt_outputs_failed_validation",
        "Prompt outputs failed validation",
        "Required input is missing: images",
    ),
    "node_errors": {
        "9": {"errors": [_MISSING], "dependent_outputs": ["9"], "class_type": "SaveImage"}
    },
}
_REFUSED = {"error": mistake("injected", "refused", ""), "node_errors": {}}
RESPONSES = {
    **in_words_of(
        _ERROR, 400, 503, example=lambda status: _INVALID_GRAPH if status == 400 else _REFUSED
    ),
    500: {
        "description": "A body that is no JSON, as the real server answers it",
        "content": {"text/plain": {"schema": {"type": "string"}, "example": _TROUBLE}},
    },
}


class NativeJson(JSONResponse):
    media_type = "application/json; charset=utf-8"


class MalformedBody(Exception):
    """The real server has no answer to it but its own trouble."""


def trouble() -> Response:
    return PlainTextResponse(_TROUBLE, status_code=500)


async def on_trouble(_request: Request, _error: Exception) -> Response:
    return trouble()


async def read_json(request: Request) -> dict[str, Any]:
    """The body as an object; MalformedBody where the real server gets into trouble."""
    found = await parsed_body(request)
    if not isinstance(found, dict):
        raise MalformedBody
    return found


async def parsed_body(request: Request) -> Any:
    """The body as JSON of any kind, else MalformedBody."""
    try:
        return _parsed(await request.body())
    except (ValueError, RecursionError) as error:
        raise MalformedBody from error


def _parsed(body: bytes) -> Any:
    """JSON by the letter, else ValueError: what it has no form for can't be told again."""
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
    """An injected refusal; 503 unless told otherwise. The real server has no such answer."""
    error = mistake(str(code or "injected"), message or "refused", "")
    body = {"error": error, "node_errors": {}}
    return NativeJson(body, status_code=status or 503, headers=headers)


def json_body(description: str, **properties: Any) -> dict[str, Any]:
    """The OpenAPI part of a body that is read by hand."""
    schema = {"type": "object", "description": description, "properties": properties}
    return {"requestBody": {"content": {"application/json": {"schema": schema}}}}


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
