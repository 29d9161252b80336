"""One proof for all tests of a process, and a copy of it for each that does something to it."""

import shutil
from pathlib import Path

import pytest

from loadtest.prove import proof
from tests.loadtest.prove.made import SMALL_PARTS, Made


@pytest.fixture(scope="package")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Made.of_good_parts(tmp_path_factory.mktemp("reports") / "prove-1").folder


@pytest.fixture
def made(good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Made:
    monkeypatch.setattr(proof, "PARTS", SMALL_PARTS)
    return Made(shutil.copytree(good, tmp_path / "prove-1"))
