"""The OpenAPI file of a mock: what its routes say, its refusals, and an example of each body."""

import json
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from services.mock_core.http.documented import documented
from services.mock_core.http.problems import ProblemBody

# What both mocks answer alike.
_COMMON = Path(__file__).with_name("examples.json")
# What the framework writes of parameters, and no route of ours answers.
_FRAMEWORKS = ("HTTPValidationError", "ValidationError")


class DocumentedApp(FastAPI):
    """An application whose OpenAPI file has the problem that plain refusals are.

    `examples` is a file of bodies by operation, as in `POST /img/submit`: the `request`, and
    answers by their status.
    """

    def __init__(self, *, examples: Path, **given: Any) -> None:
        super().__init__(**given)
        self._examples = examples

    def openapi(self) -> dict[str, Any]:
        document = super().openapi()
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        schemas["Problem"] = ProblemBody.model_json_schema()
        for name in _FRAMEWORKS:
            schemas.pop(name, None)
        bodies = examples_of(_COMMON) | examples_of(self._examples)
        for path, operations in document["paths"].items():
            for method, operation in operations.items():
                _refuse(operation["responses"], path, method)
                _illustrate(operation, bodies.get(f"{method.upper()} {path}", {}))
        return document


def examples_of(file: Path) -> dict[str, dict[str, Any]]:
    """Bodies by operation, then by `request` or status."""
    found: dict[str, dict[str, Any]] = json.loads(file.read_bytes())
    return found


def _refuse(responses: dict[str, Any], path: str, method: str) -> None:
    """What is refused before any route: a foreign host, a foreign page and its forms."""
    if _FRAMEWORKS[0] in str(responses.get("422")):
        del responses["422"]
    changes = method not in ("get", "head")
    form = (415,) if changes and path.startswith("/admin/") else ()
    found = documented(421, *((403,) if changes else ()), *form)
    del found["default"]
    for status, refusal in found.items():
        known = responses.setdefault(str(status), refusal)
        # A wire of its own refuses some with the same status and in other words.
        known["content"] = {**refusal["content"], **known.get("content", {})}


def _illustrate(operation: dict[str, Any], bodies: dict[str, Any]) -> None:
    for part, example in bodies.items():
        wanted = operation["requestBody"] if part == "request" else operation["responses"][part]
        for content in wanted["content"].values():
            content["example"] = example
