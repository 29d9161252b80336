"""Every refusal of a plain route is a problem+json with type, title, status, detail, code."""

import http
import json
from collections.abc import Callable, Mapping, Sequence

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import iter_route_contexts
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException
from starlette.responses import Response

from services.mock_core.lib.mistakes import member_of, problem_of

MEDIA_TYPE = "application/problem+json"
# (status, code, message, headers) -> reply in the shape of the wire that is spoken.
RefusalShape = Callable[[int | None, int | str | None, str | None, dict[str, str]], Response]


class Problem(Exception):
    """A refusal; `extra` members are added to the body (`errors` lists several mistakes)."""

    def __init__(
        self,
        status: int,
        code: str | int,
        *,
        detail: str,
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.headers = dict(headers or {})
        self.extra = dict(extra or {})


class ProblemBody(BaseModel):
    """The shape, for the OpenAPI file; `errors` has one entry per mistake of an input."""

    model_config = ConfigDict(title="Problem")

    type: str
    title: str
    status: int
    detail: str
    code: str | int
    errors: list[dict[str, str]] = []


# Python's own names for these changed with a version; what we tell must not.
PHRASES = {
    413: "Content Too Large",
    414: "URI Too Long",
    416: "Range Not Satisfiable",
    422: "Unprocessable Content",
}


def title_of(status: int) -> str:
    try:
        return PHRASES.get(status) or http.HTTPStatus(status).phrase
    except ValueError:
        return "Refused"


def problem_response(problem: Problem) -> Response:
    body = {
        "type": "about:blank",
        "title": title_of(problem.status),
        "status": problem.status,
        "detail": problem.detail,
        "code": problem.code,
        **problem.extra,
    }
    return Response(
        # What was sent may hold a lone surrogate, which no reply can carry.
        json.dumps(body, ensure_ascii=False).encode("utf-8", "replace"),
        status_code=problem.status,
        headers=problem.headers,
        media_type=MEDIA_TYPE,
    )


def validation_mistakes(error: RequestValidationError) -> list[dict[str, str]]:
    """One entry per member that is wrong: `{"field", "problem"}`."""
    return [{"field": _field(item["loc"]), "problem": problem_of(item)} for item in error.errors()]


def _field(loc: tuple[str | int, ...]) -> str:
    part, *path = loc
    # Where the body is no JSON, a number stands for the character at which it isn't.
    if path and isinstance(path[0], int):
        return str(part)
    return member_of(path) or str(part)


def describe(mistakes: Sequence[Mapping[str, str]]) -> str:
    return "; ".join(f"{item['field']}: {item['problem']}" for item in mistakes)


def _answer(request: Request, problem: Problem) -> Response:
    """In the words of the wire that is spoken at this path."""
    for prefix, shape in request.app.state.refusals.items():
        if request.url.path.startswith(prefix):
            reply: Response = shape(problem.status, problem.code, problem.detail, problem.headers)
            return reply
    return problem_response(problem)


async def _on_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)  # noqa: S101 - registered for this type alone
    return _answer(request, error)


def _allow(request: Request) -> dict[str, str]:
    """Every method of a path: the framework knows those of the first route alone."""
    path, methods = request.scope["path"], set[str]()
    for route in iter_route_contexts(request.app.routes):
        if route.methods and route.path_regex.match(path):
            methods |= route.methods
    return {"Allow": ", ".join(sorted(methods))}


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this type alone
    if error.status_code == 400:
        # All that the framework answers so is a body that it can't decode.
        return _answer(request, _invalid([{"field": "body", "problem": "is not JSON"}]))
    code = title_of(error.status_code).lower().replace(" ", "_")
    headers = {**(error.headers or {}), **(_allow(request) if error.status_code == 405 else {})}
    return _answer(
        request, Problem(error.status_code, code, detail=str(error.detail), headers=headers)
    )


async def _on_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this type alone
    return _answer(request, _invalid(validation_mistakes(error)))


def _invalid(mistakes: Sequence[Mapping[str, str]]) -> Problem:
    return Problem(422, "invalid", detail=describe(mistakes), extra={"errors": mistakes})


async def _on_crash(_: Request, error: Exception) -> Response:
    return problem_response(Problem(500, "internal", detail=f"{type(error).__name__}"))


def install(app: FastAPI) -> None:
    """`app.state.refusals` maps the prefixes of native wires to the shape of their errors."""
    app.state.refusals = {}
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(Exception, _on_crash)
