"""The replaying program is another's: whatever it does, its answer is noted and judged."""

import sys
from pathlib import Path

import pytest

from loadtest.books import raw
from loadtest.judge.judge import judge
from loadtest.run.session import replay
from tests.loadtest.synthetic import Synthetic


@pytest.fixture
def run(tmp_path: Path) -> Synthetic:
    return Synthetic(tmp_path).write()


def command(tmp_path: Path, body: str) -> str:
    script = tmp_path / "replay.py"
    script.write_text(body)
    return f"{sys.executable} {script}"


def verdict(run: Synthetic) -> bool | None:
    return next(check.ok for check in judge(run.folder).checks if "replays" in check.name)


def test_all_replayed(run: Synthetic, tmp_path: Path) -> None:
    body = """
import json, os, sys
print("a warning of the SDK")
print(json.dumps({"replayed": len(os.listdir(sys.argv[1])), "failures": {}}))
"""
    replay(run.folder, command(tmp_path, body))

    assert run.folder.read(raw.REPLAY) == {"replayed": 3, "failures": {}, "kept": 3}
    assert verdict(run) is True


@pytest.mark.parametrize(
    "body",
    [
        'print(\'{"replayed": 1, "failures": {"job-a": "nondeterminism"}}\')',
        'print(\'{"replayed": 0, "failures": {}}\')',
        "print('{}')",
        "raise SystemExit('no code here')",
    ],
)
def test_what_is_not_replayed_fails_the_run(run: Synthetic, tmp_path: Path, body: str) -> None:
    replay(run.folder, command(tmp_path, body))

    assert verdict(run) is False
    assert not judge(run.folder).passed


def test_a_program_that_is_not_there_fails_the_run(run: Synthetic) -> None:
    replay(run.folder, "/nowhere/replay")

    assert verdict(run) is False


def test_without_a_program_nothing_is_said(run: Synthetic) -> None:
    assert verdict(run) is None
    assert judge(run.folder).passed
