"""What all calls of the vendor's own wire have in common (documented, not captured)."""

import itertools
import time
from typing import Any, cast

from fastapi import Depends, Request
from pydantic import BaseModel
from starlette.responses import JSONResponse, Response

from services.mock_core.ledger.generation import Generation
from services.mock_core.mock import Mock, TheMock
from services.mock_core.problems import Problem, in_words_of
from services.mock_kling.config import KlingConfig
from services.mock_kling.errors import resolve
from services.mock_kling.native.tokens import TokenCheck

BAD_BODY, BAD_MEMBER, NO_METHOD, NO_RESOURCE = 1200, 1201, 1202, 1203
_BLOCKED = 446
_PAGE = "<html><head><title>Kling AI</title></head><body></body></html>"
_requests = itertools.count(1)


def _error(code: int | str, message: str, request: str = "req-000000000017") -> dict[str, Any]:
    return {"code": int(code), "message": message, "request_id": request}


ERRORS = in_words_of(
    {
        "type": "object",
        "properties": {
            "code": {"type": "integer"},
            "message": {"type": "string"},
            "request_id": {"type": "string"},
        },
        "required": ["code", "message", "request_id"],
        "additionalProperties": False,
    },
    *(400, 401, 403, 404, 429, 500, 503, 504),
    example=lambda status: _error(*resolve(status, None)[1:]),
)


def body_of(kind: type[BaseModel]) -> dict[str, Any]:
    """What an operation's document says of a body that it reads by itself, and of keys."""
    schema = kind.model_json_schema()
    parts = schema.pop("$defs", {})
    content = {"application/json": {"schema": _inlined(schema, parts)}}
    return {
        "requestBody": {"required": True, "content": content},
        "security": [{"bearer": []}],
    }


def _inlined(schema: Any, parts: dict[str, Any]) -> Any:
    """With each part in its place: a reference would be looked up in the whole document."""
    if isinstance(schema, list):
        return [_inlined(item, parts) for item in schema]
    if not isinstance(schema, dict):
        return schema
    name = schema.get("$ref", "").removeprefix("#/$defs/")
    whole = {**parts[name], **schema} if name else schema
    return {key: _inlined(value, parts) for key, value in whole.items() if key != "$ref"}


class Instead(Exception):
    """What answers is not the API; `reply` leaves as it is."""

    def __init__(self, reply: Response) -> None:
        super().__init__()
        self.reply = reply


def settings_of(mock: Mock) -> KlingConfig:
    """What can be changed while the service runs."""
    return cast(KlingConfig, mock.config)


def found(mock: Mock, any_id: str) -> Generation | None:
    """A task by the vendor's id, or by the caller's as far as the vendor finds it by that."""
    task = mock.ledger.find(any_id)
    if task is None or task.id == any_id:
        return task
    look_up = settings_of(mock).look_up
    age = time.time() - (task.accepted or 0.0)
    late = age >= mock.clock.to_real(look_up.lag)
    return task if look_up.by_external_id and late else None


def request_id() -> str:
    """A new one for each answer."""
    return f"req-{next(_requests):012d}"


def succeed(data: object) -> Response:
    """An answer with what was asked for."""
    return JSONResponse({"code": 0, "message": "SUCCEED", "request_id": request_id(), "data": data})


def refuse(
    status: int | None, code: int | str | None, message: str | None, headers: dict[str, str]
) -> Response:
    """An error of the vendor: no `data`; what was not told comes from the table."""
    if code is not None and not str(code).isdecimal():
        code = None
    # What the framework refuses, in the vendor's words: a bad parameter, a bad method.
    status, code = {422: (400, BAD_MEMBER), 405: (404, NO_METHOD)}.get(status or 0, (status, code))
    status, code, usual = resolve(status, code)
    body = _error(code, message or usual, request_id())
    return JSONResponse(body, status_code=status, headers=headers)


async def authorized(request: Request, mock: TheMock) -> None:
    """Refuse whom the vendor doesn't know, before anything is read."""
    settings = settings_of(mock)
    if settings.address == "page":
        raise Instead(Response(_PAGE, media_type="text/html"))
    if settings.address == "blocked":
        raise Instead(Response(_PAGE, _BLOCKED, media_type="text/html"))
    tokens: TokenCheck = request.app.state.tokens
    wrong = tokens.refusal(request.headers.get("authorization"), settings)
    if wrong is not None:
        status, code, usual = resolve(None, wrong.code)
        raise Problem(status, code, detail=wrong.message or usual)


Authorized = Depends(authorized)


async def answered_instead(_: Request, error: Exception) -> Response:
    """Sends what took the API's place."""
    assert isinstance(error, Instead)  # noqa: S101 - registered for this type alone
    return error.reply
