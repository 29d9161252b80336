"""Refusals of a mock, and its OpenAPI document; a fault may answer with any status at any point."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from fastapi import Request
from starlette.responses import Response

from shared.http.app import ServiceApp
from shared.http.problems import MEDIA_TYPE, Refusal, answer, phrase_of, problem_response

Responses = dict[int | str, dict[str, Any]]
Mistakes = Sequence[Mapping[str, str]]
# Answers that both mocks share.
_COMMON = Path(__file__).with_name("examples.json")
# The framework's entry for parameters, which our routes never send.
_FRAMEWORKS = ("HTTPValidationError", "ValidationError")
_INJECTED = 503
_TEXTS: dict[int, tuple[str | int, str]] = {
    400: (1201, "external_task_id is already in use"),
    404: ("not_found", "there is none of this name"),
    409: ("not_finished", "the job is running"),
    415: ("not_json", "Content-Type: application/json"),
    416: ("bad_range", "the range is outside the file"),
    422: ("invalid_input", "prompt: It must be a string."),
    429: (1302, "too many requests"),
    503: ("injected", "refused"),
}


class Problem(Exception):
    """A refusal; other wires send it in their own form."""

    def __init__(
        self,
        status: int,
        code: str | int,
        *,
        detail: str,
        headers: Mapping[str, str] = MappingProxyType({}),
        errors: Mistakes = (),
    ) -> None:
        super().__init__(detail)
        self.refusal = Refusal(status, code, phrase_of(status), detail, errors, headers)


async def on_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)  # noqa: S101 - registered for this type only
    return answer(request.scope, error.refusal)


def problem_reply(
    status: int, code: str | int, *, detail: str, headers: Mapping[str, str]
) -> Response:
    """Send a refusal of the plain wire."""
    return problem_response(Problem(status, code, detail=detail, headers=headers).refusal)


def documented(*statuses: int) -> Responses:
    """Document the refusals of a plain route: the usual ones, and any that a fault requests."""

    def example(status: int) -> dict[str, Any]:
        code, detail = _TEXTS[status]
        reply = problem_reply(status, code, detail=detail, headers={})
        body: dict[str, Any] = json.loads(bytes(reply.body))
        return body

    schema = {"$ref": "#/components/schemas/Problem"}
    return in_words_of(schema, *statuses, example=example, kind=MEDIA_TYPE)


def in_words_of(
    schema: dict[str, Any],
    *statuses: int,
    example: Callable[[int], dict[str, Any]],
    kind: str = "application/json",
) -> Responses:
    """Document the refusals of a native wire, whose bodies follow this schema."""

    def refusal(description: str, status: int) -> dict[str, Any]:
        content = {kind: {"schema": schema, "example": example(status)}}
        return {"description": description, "content": content}

    named: Responses = {status: refusal(phrase_of(status), status) for status in statuses}
    return {**named, "default": refusal("As a fault asks for", _INJECTED)}


class MockApp(ServiceApp):
    """The mock's app.

    `examples_file` has bodies by operation, as in `POST /img/submit`: the `request`, and answers by
    status.
    """

    examples_file: Path | None = None

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is not None:
            return self.openapi_schema
        document = super().openapi()
        for name in _FRAMEWORKS:
            document["components"]["schemas"].pop(name, None)
        own = {} if self.examples_file is None else examples_of(self.examples_file)
        bodies = examples_of(_COMMON) | own
        for path, operations in document["paths"].items():
            for method, operation in operations.items():
                responses = operation["responses"]
                if _FRAMEWORKS[0] in str(responses.get("422")):
                    del responses["422"]
                for part, example in bodies.get(f"{method.upper()} {path}", {}).items():
                    body = operation["requestBody"] if part == "request" else responses[part]
                    for content in body["content"].values():
                        content["example"] = example
        return document


def examples_of(file: Path) -> dict[str, dict[str, Any]]:
    """Return bodies by operation, then by `request` or status."""
    found: dict[str, dict[str, Any]] = json.loads(file.read_bytes())
    return found
