"""What the OpenAPI files say of refusals; a fault may answer with any status at any point."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from services.mock_core.http.problems import MEDIA_TYPE, title_of

Responses = dict[int | str, dict[str, Any]]
# Code and detail of a plain refusal, as an example.
Told = tuple[str | int, str]
JSON = "application/json"
_SCHEMA = {"$ref": "#/components/schemas/Problem"}
_INVALID = {"field": "prompt", "problem": "must be a string"}
_TOLD: dict[int, Told] = {
    403: ("foreign_origin", "Origin 'https://elsewhere.example' is none of ours"),
    404: ("not_found", "no such job"),
    409: ("not_finished", "the job is running"),
    415: ("not_json", "Content-Type: application/json"),
    416: ("bad_range", "the range is outside the file"),
    421: ("unknown_host", "Host 'elsewhere.example' is none of ours"),
    422: ("invalid", "{field}: {problem}".format_map(_INVALID)),
    503: ("injected", "refused"),
}
_INJECTED = 503


def documented(*statuses: int, told: Mapping[int, Told] = MappingProxyType({})) -> Responses:
    """Refusals of a plain route: the usual ones by name, and whatever a fault asks for.

    `told`: code and detail of those, by their status, that say something else than most.
    """
    all_told = {**_TOLD, **told}
    return _refusals(MEDIA_TYPE, _SCHEMA, statuses, lambda it: _problem(it, *all_told[it]))


def in_words_of(
    schema: dict[str, Any], *statuses: int, example: Callable[[int], dict[str, Any]]
) -> Responses:
    """The same for a native wire, whose refusals are JSON of this schema."""
    return _refusals(JSON, schema, statuses, example)


def _refusals(
    kind: str,
    schema: dict[str, Any],
    statuses: tuple[int, ...],
    example: Callable[[int], dict[str, Any]],
) -> Responses:
    def refusal(description: str, status: int) -> dict[str, Any]:
        content = {kind: {"schema": schema, "example": example(status)}}
        return {"description": description, "content": content}

    named: Responses = {status: refusal(title_of(status), status) for status in statuses}
    return {**named, "default": refusal("As a fault asks for", _INJECTED)}


def _problem(status: int, code: str | int, detail: str) -> dict[str, Any]:
    return {
        "type": "about:blank",
        "title": title_of(status),
        "status": status,
        "detail": detail,
        "code": code,
        **({"errors": [_INVALID]} if status == 422 else {}),
    }
