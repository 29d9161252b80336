"""Refusals of a mock, and its OpenAPI document; a fault may answer with any status at any point."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from fastapi import Request
from starlette.responses import Response

from shared.http.app import ServiceApp
from shared.http.problems import MEDIA_TYPE, Refusal, answer, phrase_of, problem_response

Responses = dict[int | str, dict[str, Any]]
Mistakes = Sequence[Mapping[str, str]]
# The framework's entry for parameters, which our routes never send.
_FRAMEWORKS = ("HTTPValidationError", "ValidationError")


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
    return problem_response(Problem(status, code, detail=detail, headers=headers).refusal)


def documented(*statuses: int) -> Responses:
    """Document the refusals of a plain route: the usual ones, and any that a fault requests."""
    return in_words_of({"$ref": "#/components/schemas/Problem"}, *statuses, kind=MEDIA_TYPE)


def in_words_of(
    schema: dict[str, Any], *statuses: int, kind: str = "application/json"
) -> Responses:
    """Document the refusals of a native wire, whose bodies follow this schema."""
    content = {kind: {"schema": schema}}
    named: Responses = {
        status: {"description": phrase_of(status), "content": content} for status in statuses
    }
    return {**named, "default": {"description": "As a fault asks for", "content": content}}


class MockApp(ServiceApp):
    """The mock's app: its document lacks what the framework adds for parameters."""

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is not None:
            return self.openapi_schema
        document = super().openapi()
        for name in _FRAMEWORKS:
            document["components"]["schemas"].pop(name, None)
        for operations in document["paths"].values():
            for operation in operations.values():
                if _FRAMEWORKS[0] in str(operation["responses"].get("422")):
                    del operation["responses"]["422"]
        return document
