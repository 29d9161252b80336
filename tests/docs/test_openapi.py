"""The OpenAPI files in the repository are those of the code."""

import json
import subprocess
import sys

import pytest

from tests.docs.openapi import APPS, COMMAND, FOLDER, document
from tests.docs.pages import ROOT, read

PAGE = ROOT / "docs" / "api.md"


@pytest.mark.parametrize("name", sorted(APPS))
def test_the_file_is_what_the_code_says(name: str) -> None:
    written = read(FOLDER / f"{name}.json")
    assert json.loads(written) == json.loads(document(name)), f"write it anew: {COMMAND}"
    assert written == document(name), f"write it anew: {COMMAND}"


def test_every_service_with_a_port_has_its_file() -> None:
    assert {file.stem for file in FOLDER.glob("*.json")} == set(APPS)


def test_the_command_is_told_and_works() -> None:
    assert COMMAND in read(PAGE)
    subprocess.run([sys.executable, *COMMAND.split()[1:], "--help"], check=True, cwd=ROOT)


@pytest.mark.parametrize("name", sorted(APPS))
def test_the_file_does_not_depend_on_the_version_of_python(name: str) -> None:
    """The standard library's names of these statuses changed with Python 3.13."""
    phrases = ("Entity Too Large", "Unprocessable Entity", "Requested Range Not Satisfiable")
    assert [phrase for phrase in phrases if phrase in document(name)] == []
