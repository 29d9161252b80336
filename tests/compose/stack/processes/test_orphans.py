"""Only processes that carry this stack's mark are found, and only they are ended."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from compose.stack.processes import launch, orphans

pytestmark = pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs /proc")
SLEEP = "import time; print('up', flush=True); time.sleep(60)"


@contextmanager
def sleeper(**mark: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", SLEEP]
    env = dict(os.environ) | mark
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield process
        finally:
            process.kill()


def test_only_marked_processes_are_ended(tmp_path: Path) -> None:
    with ExitStack() as running:
        ours = running.enter_context(sleeper(**{launch.MARK: str(tmp_path)}))
        others = running.enter_context(sleeper(**{launch.MARK: str(tmp_path / "other")}))
        plain = running.enter_context(sleeper())
        assert orphans.pids(tmp_path) == [ours.pid]
        assert orphans.end(tmp_path) == 1
        assert ours.wait(timeout=60) == -15
        assert others.poll() is None
        assert plain.poll() is None


def test_nothing_to_end(tmp_path: Path) -> None:
    assert orphans.end(tmp_path) == 0
