"""Errors on the wire: every one is `application/problem+json` (RFC 9457) with a stable code."""

import math
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, WebSocket
from fastapi.exceptions import RequestValidationError, WebSocketRequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from shared.errors import (
    BodyTooLarge,
    ForeignOrigin,
    GenvideoError,
    InvalidInput,
    NotJson,
    RouteNotFound,
    TemporalUnavailable,
    UnknownHost,
)
from shared.http.head import methods_at
from shared.http.mistakes import mistakes_of, told

MEDIA_TYPE = "application/problem+json"

# Python's own names for these changed with a version; what we tell must not.
PHRASES = {
    413: "Content Too Large",
    414: "URI Too Long",
    416: "Range Not Satisfiable",
    422: "Unprocessable Content",
}
# Where the framework answers before us, code and title are still the error tree's.
_OURS = {error.status: error for error in (BodyTooLarge, NotJson, RouteNotFound)}

_UNREADABLE = {"error": "it can't be decoded"}
_MISTAKE = {
    "field": "jobs[1].prompt",
    "message": "It needs at least one character that can be seen.",
}
# What a status means where a route says no more of it.
_USUAL: dict[int, type[GenvideoError]] = {
    error.status: error
    for error in (
        BodyTooLarge,
        ForeignOrigin,
        InvalidInput,
        NotJson,
        RouteNotFound,
        TemporalUnavailable,
        UnknownHost,
    )
}


def phrase_of(status: int) -> str:
    """The name of a status, the same in every version of Python."""
    return PHRASES.get(status) or HTTPStatus(status).phrase


class FieldError(BaseModel):
    """One field that doesn't fit: its name, and a sentence that says what is wrong."""

    field: str
    message: str


class Problem(BaseModel):
    """The body of every error."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    errors: list[FieldError] | None = None


def problem_response(problem: Problem, headers: dict[str, str] | None = None) -> JSONResponse:
    """A response that carries one problem."""
    body = problem.model_dump(exclude_none=True)
    return JSONResponse(body, problem.status, headers=headers, media_type=MEDIA_TYPE)


def from_error(error: GenvideoError, extra: Mapping[str, str] | None = None) -> JSONResponse:
    """The response for one of our own errors; Retry-After where trying again can help, and what is
    to be shown where something is missing."""
    problem = Problem(
        type=f"urn:genvideo:{error.code}",
        title=error.title,
        status=error.status,
        detail=error.message,
        code=error.code,
    )
    retry_after = error.retry_after or (1 if error.retryable else None)
    headers = {} if retry_after is None else {"Retry-After": str(max(1, math.ceil(retry_after)))}
    if error.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    return problem_response(problem, {**headers, **(extra or {})})


def documented(*errors: int | type[GenvideoError]) -> dict[int | str, dict[str, Any]]:
    """The errors of a route for its OpenAPI entry, besides whatever else may go wrong.

    Each by its class; by its status where that has the usual one.
    """
    named: dict[int | str, list[type[GenvideoError]]] = {}
    for error in errors:
        kind = _USUAL[error] if isinstance(error, int) else error
        named.setdefault(kind.status, []).append(kind)
    told: dict[int | str, dict[str, Any]] = {
        status: _told(phrase_of(int(status)), kinds) for status, kinds in named.items()
    }
    return told | {"default": _told("Any other error", [GenvideoError])}


def _told(description: str, kinds: Sequence[type[GenvideoError]]) -> dict[str, Any]:
    """What a response says of the problems that it may be: one example of each, by its code."""
    content = {
        "schema": {"$ref": "#/components/schemas/Problem"},
        "examples": {kind.code: {"value": example_of(kind)} for kind in kinds},
    }
    return {"description": description, "content": {MEDIA_TYPE: content}}


def example_of(kind: type[GenvideoError]) -> dict[str, Any]:
    """A problem of this class, as one may look."""
    problem = {
        "type": f"urn:genvideo:{kind.code}",
        "title": kind.title,
        "status": kind.status,
        "detail": f"{kind.title}.",
        "code": kind.code,
    }
    if kind is not InvalidInput:
        return problem
    return {**problem, "detail": "{field}: {message}".format_map(_MISTAKE), "errors": [_MISTAKE]}


# An example of each message, by the name of its schema.
EXAMPLES: dict[str, dict[str, Any]] = {
    "FieldError": _MISTAKE,
    "Problem": example_of(InvalidInput),
}


def schemas() -> dict[str, Any]:
    """The components that `documented` refers to."""
    schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    return {**schema.pop("$defs", {}), "Problem": schema}


def install(app: FastAPI) -> None:
    """Map our errors, wrong input, unknown routes and anything unexpected to problems."""

    async def ours(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, GenvideoError)  # noqa: S101 - registered for this class only
        return from_error(error)

    async def invalid(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)  # noqa: S101 - as above
        return _invalid(error.errors())

    async def http(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)  # noqa: S101 - as above
        if error.status_code == 400:
            # All that the framework answers so is a body that it can't decode.
            return _invalid([{"type": "json_invalid", "loc": ("body",), "ctx": _UNREADABLE}])
        return _http(error, _allowed(request) if error.status_code == 405 else {})

    async def unexpected(request: Request, error: Exception) -> JSONResponse:
        return from_error(GenvideoError("Something went wrong on our side; the log has more."))

    app.add_exception_handler(GenvideoError, ours)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(Exception, unexpected)
    _install_for_sockets(app)


def _install_for_sockets(app: FastAPI) -> None:
    """The same for who asks for a socket: the framework would say nothing but 403."""
    no_route = app.router.default

    async def invalid(socket: WebSocket, error: Exception) -> None:
        assert isinstance(error, WebSocketRequestValidationError)  # noqa: S101 - as above
        await socket.send_denial_response(_invalid(error.errors()))

    async def nowhere(scope: Scope, receive: Receive, send: Send) -> None:
        is_socket = scope["type"] == "websocket"
        answer: ASGIApp = from_error(RouteNotFound("Not found")) if is_socket else no_route
        await answer(scope, receive, send)

    app.router.default = nowhere
    app.add_exception_handler(WebSocketRequestValidationError, invalid)


def _invalid(errors: Sequence[Any]) -> JSONResponse:
    mistakes = mistakes_of(errors)
    return problem_response(
        Problem(
            type=f"urn:genvideo:{InvalidInput.code}",
            title=InvalidInput.title,
            status=InvalidInput.status,
            detail=told(mistakes),
            code=InvalidInput.code,
            errors=[FieldError(**mistake._asdict()) for mistake in mistakes],
        )
    )


def _http(error: HTTPException, extra: Mapping[str, str]) -> JSONResponse:
    phrase, known = phrase_of(error.status_code), _OURS.get(error.status_code)
    code = phrase.lower().replace(" ", "_") if known is None else known.code
    problem = Problem(
        type=f"urn:genvideo:{code}",
        title=phrase if known is None else known.title,
        status=error.status_code,
        detail=str(error.detail),
        code=code,
    )
    return problem_response(problem, {**(error.headers or {}), **extra})


def _allowed(request: Request) -> dict[str, str]:
    methods = methods_at(request.app, request.scope["path"])
    methods |= {"HEAD"} if "GET" in methods else set()
    return {"Allow": ", ".join(sorted(methods))}
