"""The numbers of docs/verdict.md that the code can tell."""

import json
import re

import pytest

from tests.docs.pages import ROOT, read

PAGE = read(ROOT / "docs" / "verdict.md")


def said(pattern: str) -> int:
    [found] = re.findall(pattern, PAGE)
    return int(found)


def test_the_semaphore_is_about_as_long_as_it_says() -> None:
    files = (ROOT / "shared" / "semaphore").rglob("*.py")
    lines = sum(len(read(file).splitlines()) for file in files)

    assert said(r"a semaphore \(some (\d+) lines\)") == pytest.approx(lines, rel=0.1)


def test_the_events_of_a_job() -> None:
    history = ROOT / "tests/replay/histories/succeeded.json"

    assert said(r"\*\*History\.\*\* (\d+) events a job") == len(json.loads(read(history))["events"])
