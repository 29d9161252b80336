"""Send every error as `application/problem+json` (RFC 9457) with a stable code."""

import math
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, NamedTuple

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError, WebSocketRequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import iter_route_contexts
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import Response
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
from shared.http.mistakes import Mistake, mistakes_of, utf8

MEDIA_TYPE = "application/problem+json"

# Python's own names of these statuses changed with a version; ours must not.
PHRASES = {
    413: "Content Too Large",
    414: "URI Too Long",
    416: "Range Not Satisfiable",
    422: "Unprocessable Content",
}
_UNREADABLE = {"error": "it can't be decoded"}
# The meaning of a status, if a route or the framework says no more.
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
    """Return the name of a status, the same in every version of Python."""
    try:
        return PHRASES.get(status) or HTTPStatus(status).phrase
    except ValueError:
        return "Refused"


class FieldError(BaseModel):
    """A wrong field: its name, and a sentence."""

    field: str
    message: str


class Problem(BaseModel):
    """The body of every error; a vendor's code may be a number."""

    type: str
    title: str
    status: int
    detail: str
    code: str | int
    errors: list[FieldError] | None = None


class Refusal(NamedTuple):
    """An error before it gets its form on the wire."""

    status: int
    code: str | int
    title: str
    detail: str
    errors: Sequence[Mapping[str, str]] = ()
    headers: Mapping[str, str] = {}


# Writes an error in the form of another wire.
Shape = Callable[[int | None, str | int | None, str | None, dict[str, str]], Response]


def problem_response(refusal: Refusal) -> JSONResponse:
    status, code, title, detail, errors, headers = refusal
    body = {
        "type": f"urn:genvideo:{code}",
        "title": title,
        "status": status,
        "detail": utf8(detail),
        "code": code,
        **({"errors": list(errors)} if errors else {}),
    }
    return JSONResponse(body, status, headers=dict(headers), media_type=MEDIA_TYPE)


def from_error(error: GenvideoError, extra: Mapping[str, str] | None = None) -> JSONResponse:
    """Return the response for one of our own errors; with `Retry-After` if a retry can help."""
    return problem_response(refusal_of(error, extra or {}))


def refusal_of(error: GenvideoError, extra: Mapping[str, str] = {}) -> Refusal:
    retry_after = error.retry_after or (1 if error.retryable else None)
    headers = {} if retry_after is None else {"Retry-After": str(max(1, math.ceil(retry_after)))}
    if error.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    return Refusal(
        error.status, error.code, error.title, error.message, headers={**headers, **extra}
    )


def documented(*errors: int | type[GenvideoError]) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI entry for these errors, and for any other.

    Each error is named by its class, or by its status if that is the class's usual one.
    """
    named: dict[int, list[str]] = {}
    for error in errors:
        kind = _USUAL[error] if isinstance(error, int) else error
        named.setdefault(kind.status, []).append(f"`{kind.code}`")
    return {
        **{status: _response(phrase_of(status), codes) for status, codes in named.items()},
        "default": _response("Any other error", []),
    }


def _response(phrase: str, codes: Sequence[str]) -> dict[str, Any]:
    content = {"schema": {"$ref": "#/components/schemas/Problem"}}
    description = f"{phrase}: {', '.join(codes)}" if codes else phrase
    return {"description": description, "content": {MEDIA_TYPE: content}}


def schemas() -> dict[str, Any]:
    """Return the components that `documented` refers to."""
    schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    return {**schema.pop("$defs", {}), "Problem": schema}


def install(app: FastAPI, shapes: Mapping[str, Shape] | None = None) -> None:
    """Turn our errors, invalid input, unknown routes and unexpected errors into problems.

    `shapes` has the forms of other wires, by path prefix. A socket that can't be opened gets the
    same answers; the framework would send a bare 403.
    """
    app.state.shapes = shapes or {}
    no_route = app.router.default

    async def failed(request: Request, error: Exception) -> Response:
        match error:
            case GenvideoError():
                refusal = refusal_of(error)
            case RequestValidationError() | WebSocketRequestValidationError():
                refusal = invalid_input(mistakes_of(error.errors()))
            case HTTPException(status_code=400):
                # The framework answers only an undecodable body like this.
                wrong = {"type": "json_invalid", "loc": ("body",), "ctx": _UNREADABLE}
                refusal = invalid_input(mistakes_of([wrong]))
            case HTTPException():
                refusal = _http(request, error)
            case _:
                return from_error(GenvideoError("Internal error; see the log."))
        return answer(request.scope, refusal)

    async def nowhere(scope: Scope, receive: Receive, send: Send) -> None:
        is_socket = scope["type"] == "websocket"
        found: ASGIApp = from_error(RouteNotFound("Not found")) if is_socket else no_route
        await found(scope, receive, send)

    app.router.default = nowhere
    invalid = (RequestValidationError, WebSocketRequestValidationError)
    for kind in (GenvideoError, *invalid, HTTPException, Exception):
        app.add_exception_handler(kind, failed)


def answer(scope: Scope, refusal: Refusal) -> Response:
    """Return an error in the form of the wire at this path."""
    for prefix, shape in scope["app"].state.shapes.items():
        if scope["path"].startswith(prefix):
            given: Response = shape(*refusal[:2], refusal.detail, dict(refusal.headers))
            return given
    return problem_response(refusal)


def invalid_input(found: tuple[Sequence[Mistake], int]) -> Refusal:
    """Return 422 with the first mistakes of an input, and how many more there are."""
    mistakes, more = found
    kind = InvalidInput
    said = [f"{each.field}: {each.message}" for each in mistakes]
    detail = " ".join([*said, f"And {more} more."] if more else said)
    errors = [mistake._asdict() for mistake in mistakes]
    return Refusal(kind.status, kind.code, kind.title, detail, errors)


def _http(request: Request, error: HTTPException) -> Refusal:
    phrase, known = phrase_of(error.status_code), _USUAL.get(error.status_code)
    code = phrase.lower().replace(" ", "_") if known is None else known.code
    headers = dict(error.headers or {})
    if error.status_code == 405:
        headers["Allow"] = ", ".join(sorted(methods_at(request.app, request.scope["path"])))
    title = phrase if known is None else known.title
    return Refusal(error.status_code, code, title, str(error.detail), headers=headers)


def methods_at(app: FastAPI, path: str) -> set[str]:
    """Return every method of a path; the framework knows only those of the first route."""
    methods = set[str]()
    for route in iter_route_contexts(app.routes):
        if route.methods and route.path_regex.match(path):
            methods |= route.methods
    return methods
