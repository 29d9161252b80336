"""Each measure of the benchmarks once, with tiny numbers, on one stack of processes."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from compose.stack import readiness
from compose.stack.commands.bench import own_settings
from compose.stack.environment import environment_of
from compose.stack.local import Local
from compose.stack.services import LOADTEST
from compose.stack.settings import Settings
from tests.stack.driver import ROOT
from tools.bench import takeover
from tools.bench.__main__ import PARTS

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def settings() -> Iterator[Settings]:
    with tempfile.TemporaryDirectory(prefix="genvideo-bench-") as data:
        found = own_settings(ROOT, Path(data), workers=2)
        stack = Local(found)
        try:
            stack.up()
            readiness.wait(found, stack)
            yield found
        finally:
            stack.down()


def test_each_part_measures_something(settings: Settings, tmp_path: Path) -> None:
    def run(part: str, *options: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "tools.bench", part, str(tmp_path), *options],
            cwd=ROOT,
            env=environment_of(settings, LOADTEST),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run("handover", "--runs", "1", "--jobs", "3")
    run("takeover", "--runs", "1", "--seed", "7")
    run("flood", "--jobs", "4", "--calm", "2")
    run("throughput", "--runs", "1", "--jobs", "3")
    # What these two leave in the queue is ended with the stack.
    run("waiting", "--levels", "2,4", "--window", "2")
    run("intake", "--runs", "1", "--single", "3", "--bulk", "20")
    printed = run("table")

    found = json.loads((tmp_path / "bench.json").read_text())
    values = {(row["part"], row["name"]): row["median"] for row in found["figures"]}
    assert {part for part, _ in values} == set(PARTS)
    assert [row for row in _times(found["figures"]) if not row["median"] > 0] == []
    for moment in takeover.NAMES:
        step, job = (values["takeover", f"{moment}: next {what}"] for what in ("step", "job"))
        assert step <= job, moment
    assert "intake: requests taken in by the semaphore, in bulk" in printed


def _times(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Figures that can't be nothing: whole times and rates, not the parts of a time."""
    return [row for row in rows if not row["name"].endswith("mean")]
