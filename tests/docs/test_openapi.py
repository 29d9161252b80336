"""The OpenAPI files are those of the code, and every body in them is shown as its schema says."""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import jsonschema_rs
import pytest

from services.mock_core.problems import examples_of
from shared.http import problems
from tests.docs.openapi import APPS, COMMAND, document
from tests.docs.pages import REFERENCES, ROOT, links, read

PAGE = ROOT / "docs" / "api.md"


@pytest.mark.parametrize("name", sorted(APPS))
def test_the_file_is_what_the_code_says(name: str) -> None:
    written = read(REFERENCES / f"{name}.json")
    assert json.loads(written) == json.loads(document(name)), f"write it anew: {COMMAND}"
    assert written == document(name), f"write it anew: {COMMAND}"


def test_every_service_with_a_port_has_its_file_and_the_page_leads_there() -> None:
    expected = {f"{name}.json" for name in APPS}
    assert {file.name for file in REFERENCES.iterdir()} == expected
    assert {f"openapi/{name}" for name in expected} <= set(links(read(PAGE)))
    assert COMMAND in read(PAGE)


def test_no_file_depends_on_the_version_of_python() -> None:
    """The standard library's names of these statuses changed with Python 3.13."""
    assert set(problems.PHRASES) == {413, 414, 416, 422}


# What JSON and text can't show.
BYTES = ("image/", "video/")
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
def openapi_of(request: pytest.FixtureRequest) -> dict[str, Any]:
    return APPS[request.param]().openapi()


def test_every_body_has_examples_that_are_what_its_schema_and_its_status_say(
    openapi_of: dict[str, Any],
) -> None:
    for it in bodies(openapi_of):
        assert it.examples or it.kind.startswith(BYTES), it[:3]
        schema = {**it.content.get("schema", {}), "components": openapi_of["components"]}
        validator = jsonschema_rs.Draft202012Validator(schema)
        for example in it.examples:
            assert [error.message for error in validator.iter_errors(example)] == [], it[:3]
            if it.kind == PROBLEM and it.part != "default":
                assert example["status"] == int(it.part), it[:3]


def test_nothing_is_told_that_no_route_answers(openapi_of: dict[str, Any]) -> None:
    """The framework's own form of a mistake, which each service replaces by a problem."""
    assert "HTTPValidationError" not in str(openapi_of)


@pytest.mark.parametrize("name", sorted(MOCKS))
def test_every_example_of_a_file_is_of_an_operation(name: str) -> None:
    paths = APPS[name]().openapi()["paths"]
    calls = {f"{method.upper()} {path}" for path in paths for method in paths[path]}
    own = ROOT / "services" / MOCKS[name] / "examples.json"
    common = ROOT / "services" / "mock_core" / "examples.json"
    for file in (own, common):
        assert set(examples_of(file)) - calls == set(), file
