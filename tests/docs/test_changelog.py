"""The changelog keeps to its format."""

import re
import tomllib

from tests.docs.pages import ROOT, headings, read

KINDS = {"Added", "Changed", "Deprecated", "Removed", "Removed before 1.0", "Fixed", "Security"}
CHANGELOG = read(ROOT / "CHANGELOG.md")


def test_versions_and_kinds_have_their_form() -> None:
    versions = [words for level, words in headings(CHANGELOG) if level == 2]
    kinds = {words for level, words in headings(CHANGELOG) if level == 3}

    assert versions[0] == "[Unreleased]"
    assert all(re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", it) for it in versions[1:])
    assert kinds <= KINDS


def test_a_released_version_is_that_of_the_project() -> None:
    project = tomllib.loads(read(ROOT / "pyproject.toml"))["project"]
    released = re.findall(r"^## \[(\d[\d.]*)\]", CHANGELOG, re.MULTILINE)

    assert not released or released[0] == project["version"]
