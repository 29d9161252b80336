"""Every body in the OpenAPI files is shown, and what is shown is what its schema says."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import jsonschema_rs
import pytest

from services.mock_core.problems import examples_of
from tests.docs.openapi import APPS
from tests.docs.pages import ROOT

# What JSON and text can't show.
BYTES = ("image/", "video/", "multipart/byteranges")
STREAM = "text/event-stream"
PROBLEM = "application/problem+json"
MOCKS = {"mock-comfyui": "mock_comfyui", "mock-kling": "mock_kling"}


class Shown(NamedTuple):
    """One body: of which operation, a `request` or which status, its media type and contents."""

    call: str
    part: str
    kind: str
    content: dict[str, Any]

    @property
    def examples(self) -> list[Any]:
        several = [each["value"] for each in self.content.get("examples", {}).values()]
        return several + ([self.content["example"]] if "example" in self.content else [])


def bodies(document: dict[str, Any]) -> Iterator[Shown]:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            parts = {**operation["responses"], "request": operation.get("requestBody", {})}
            for part, told in parts.items():
                for kind, content in told.get("content", {}).items():
                    yield Shown(f"{method.upper()} {path}", part, kind, content)


@pytest.fixture(scope="module", params=sorted(APPS))
def document(request: pytest.FixtureRequest) -> dict[str, Any]:
    return APPS[request.param]().openapi()


def test_every_body_has_an_example(document: dict[str, Any]) -> None:
    without = [
        it[:3] for it in bodies(document) if not it.kind.startswith(BYTES) and not it.examples
    ]
    assert without == []


def test_every_example_is_what_its_schema_says(document: dict[str, Any]) -> None:
    wrong = [
        (*it[:3], error.message)
        for it in bodies(document)
        for example in it.examples
        for error in _validator(document, it.content.get("schema", {})).iter_errors(example)
    ]
    assert wrong == []


def test_a_refusal_shows_its_own_status(document: dict[str, Any]) -> None:
    wrong = [
        it[:2]
        for it in bodies(document)
        if it.kind == PROBLEM and it.part != "default"
        for example in it.examples
        if example["status"] != int(it.part)
    ]
    assert wrong == []


def test_nothing_is_told_that_no_route_answers(document: dict[str, Any]) -> None:
    """The framework's own form of a mistake, which each service replaces by a problem."""
    assert "HTTPValidationError" not in str(document)


@pytest.mark.parametrize("name", sorted(MOCKS))
def test_every_example_of_a_file_is_of_an_operation(name: str) -> None:
    paths = APPS[name]().openapi()["paths"]
    calls = {f"{method.upper()} {path}" for path in paths for method in paths[path]}
    own = ROOT / "services" / MOCKS[name] / "examples.json"
    common = ROOT / "services" / "mock_core" / "examples.json"
    for file in (own, common):
        assert set(examples_of(file)) - calls == set(), file


def _validator(document: dict[str, Any], schema: dict[str, Any]) -> Any:
    return jsonschema_rs.Draft202012Validator({**schema, "components": document["components"]})
