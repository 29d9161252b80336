"""The OpenAPI files are those of the code."""

import pytest

from shared.http import problems
from tests.docs.openapi import APPS, COMMAND, document
from tests.docs.pages import REFERENCES, ROOT, links, read

PAGE = ROOT / "docs" / "api.md"


@pytest.mark.parametrize("name", sorted(APPS))
def test_openapi_files_match_the_code(name: str) -> None:
    written = read(REFERENCES / f"{name}.json")
    assert written == document(name), f"write it again: {COMMAND}"
    # The framework's own form of a mistake, which each service replaces by a problem.
    assert "HTTPValidationError" not in written


def test_every_service_with_a_port_has_a_linked_openapi_file() -> None:
    expected = {f"{name}.json" for name in APPS}
    assert {file.name for file in REFERENCES.iterdir()} == expected
    assert {f"openapi/{name}" for name in expected} <= set(links(read(PAGE)))
    assert COMMAND in read(PAGE)


def test_openapi_files_do_not_depend_on_the_version_of_python() -> None:
    """The standard library's names of these statuses changed with Python 3.13."""
    assert set(problems.PHRASES) == {413, 414, 416, 422}
