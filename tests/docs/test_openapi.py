"""The OpenAPI files in the repository are those of the code."""

import json
from pathlib import Path

import pytest

from shared.http import problems
from tests.docs import openapi
from tests.docs.openapi import APPS, COMMAND, document, page
from tests.docs.pages import REFERENCES, ROOT, fences, links, read, section
from tests.docs.reference import WIDTH

PAGE = ROOT / "docs" / "api.md"


@pytest.mark.parametrize("name", sorted(APPS))
def test_the_file_is_what_the_code_says(name: str) -> None:
    written = read(REFERENCES / f"{name}.json")
    assert json.loads(written) == json.loads(document(name)), f"write it anew: {COMMAND}"
    assert written == document(name), f"write it anew: {COMMAND}"


@pytest.mark.parametrize("name", sorted(APPS))
def test_the_reference_is_what_the_file_says(name: str) -> None:
    assert read(REFERENCES / f"{name}.md") == page(name), f"write it anew: {COMMAND}"


def test_every_service_with_a_port_has_its_files() -> None:
    expected = {f"{name}.{form}" for name in APPS for form in ("json", "md")}
    assert {file.name for file in REFERENCES.iterdir()} == expected


def test_the_page_leads_to_every_reference() -> None:
    assert {f"openapi/{name}.md" for name in APPS} <= set(links(read(PAGE)))


def test_an_operation_is_told_with_its_parameters_errors_and_examples() -> None:
    told = section(page("api"), "`POST /jobs/{job_id}/retry`")
    assert "Start a new job with the same input" in told
    assert "| `job_id`, required | path |" in told
    assert "| 409 | Conflict, `job_not_retryable`, `other_namespace` |" in told
    assert json.loads(fences(told)[0][1])["job_id"].startswith("job-")


def test_a_reference_is_within_a_page_s_width() -> None:
    """But for what can't be broken: a string, or a row of a table."""
    lines = page("mock-comfyui").splitlines()
    assert [line for line in lines if len(line) > WIDTH and line[:1] in "{[ "] == []


def test_the_command_is_told_and_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert COMMAND in read(PAGE)
    assert COMMAND.split()[1:] == ["-m", openapi.__name__]
    monkeypatch.setattr("sys.argv", ["openapi"])
    monkeypatch.setattr(openapi, "REFERENCES", tmp_path)
    monkeypatch.setattr(openapi, "APPS", {"worker": APPS["worker"]})
    openapi.main()
    for file in ("worker.json", "worker.md"):
        assert read(tmp_path / file) == read(REFERENCES / file)


def test_no_file_depends_on_the_version_of_python() -> None:
    """The standard library's names of these statuses changed with Python 3.13."""
    assert set(problems.PHRASES) == {413, 414, 416, 422}
