"""What the native routes share: bodies, errors in the real server's shape, the queue."""

import json
import math
from typing import Annotated, Any

from fastapi import Depends, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from services.mock_comfyui.prompts.inputs import missing, mistake
from services.mock_comfyui.queue.prompt_queue import PromptQueue
from services.mock_core.problems import in_words_of

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
