"""What the OpenAPI files say of refusals; a fault may answer with any status at any point."""

from typing import Any

from fastapi import FastAPI

from services.mock_core.http.problems import MEDIA_TYPE, ProblemBody, title_of

Responses = dict[int | str, dict[str, Any]]
_CONTENT = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}


def documented(*statuses: int) -> Responses:
    """Refusals of a plain route: the usual ones by name, and whatever a fault asks for."""
    named: Responses = {
        status: {"description": title_of(status), "content": _CONTENT} for status in statuses
    }
    return {**named, "default": {"description": "As a fault asks for", "content": _CONTENT}}


def in_words_of(schema: dict[str, Any], *statuses: int) -> Responses:
    """The same for a native wire, whose refusals are JSON of this schema."""
    content = {"application/json": {"schema": schema}}
    named: Responses = {
        status: {"description": title_of(status), "content": content} for status in statuses
    }
    return {**named, "default": {"description": "As a fault asks for", "content": content}}


class DocumentedApp(FastAPI):
    """An application whose OpenAPI file has the problem that plain refusals are."""

    def openapi(self) -> dict[str, Any]:
        document = super().openapi()
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        schemas["Problem"] = ProblemBody.model_json_schema()
        for path, operations in document["paths"].items():
            for method, operation in operations.items():
                for status, refusal in _guarded(path, method).items():
                    operation["responses"].setdefault(str(status), refusal)
        return document


def _guarded(path: str, method: str) -> Responses:
    """What is refused before any route: a foreign host, a foreign page and its forms."""
    changes = method not in ("get", "head")
    form = (415,) if changes and path.startswith("/admin/") else ()
    found = documented(421, *((403,) if changes else ()), *form)
    del found["default"]
    return found
