"""Errors on the wire: every one is `application/problem+json` (RFC 9457) with a stable code."""

import math
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import iter_route_contexts
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from shared.errors import BodyTooLarge, GenvideoError, InvalidInput, NotJson, RouteNotFound
from shared.mistakes import mistakes_of, told

MEDIA_TYPE = "application/problem+json"

# Python's own names for these changed with a version; our documents must not.
_PHRASES = {
    413: "Content Too Large",
    416: "Range Not Satisfiable",
    422: "Unprocessable Content",
}
# Where the framework answers before us, the code is still the error tree's.
_CODES = {error.status: error.code for error in (BodyTooLarge, NotJson, RouteNotFound)}

_UNREADABLE = {"error": "it can't be decoded"}
_MISTAKE = {
    "field": "jobs[1].prompt",
    "message": "It needs at least one character that can be seen.",
}
EXAMPLES: dict[str, dict[str, Any]] = {
    "FieldError": _MISTAKE,
    "Problem": {
        "type": "urn:genvideo:invalid_input",
        "title": InvalidInput.title,
        "status": InvalidInput.status,
        "detail": "{field}: {message}".format_map(_MISTAKE),
        "code": InvalidInput.code,
        "errors": [_MISTAKE],
    },
}


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
    """The response for one of our own errors, with Retry-After where trying again can help."""
    problem = Problem(
        type=f"urn:genvideo:{error.code}",
        title=error.title,
        status=error.status,
        detail=error.message,
        code=error.code,
    )
    retry_after = error.retry_after or (1 if error.retryable else None)
    headers = {} if retry_after is None else {"Retry-After": str(max(1, math.ceil(retry_after)))}
    return problem_response(problem, {**headers, **(extra or {})})


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The errors of a route for its OpenAPI entry, besides whatever else may go wrong."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    named: dict[int | str, dict[str, Any]] = {
        status: {"description": _PHRASES.get(status, HTTPStatus(status).phrase), "content": content}
        for status in statuses
    }
    return named | {"default": {"description": "Any other error", "content": content}}


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
    phrase = HTTPStatus(error.status_code).phrase
    code = _CODES.get(error.status_code, phrase.lower().replace(" ", "_"))
    problem = Problem(
        type=f"urn:genvideo:{code}",
        title=phrase,
        status=error.status_code,
        detail=str(error.detail),
        code=code,
    )
    return problem_response(problem, {**(error.headers or {}), **extra})


def _allowed(request: Request) -> dict[str, str]:
    """Every method of a path: the framework knows those of the first route alone."""
    path, methods = request.scope["path"], set[str]()
    for route in iter_route_contexts(request.app.routes):
        if route.methods and route.path_regex.match(path):
            methods |= route.methods
    return {"Allow": ", ".join(sorted(methods))}
