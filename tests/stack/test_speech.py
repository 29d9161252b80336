"""Two pipelines beside each other: `make example-speech` says what they withstand."""

import os
import subprocess

import pytest

from tests.stack.driver import ROOT

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]


def test_jobs_of_two_pipelines_share_one_slot() -> None:
    drop = ("MAKEFLAGS", "MAKELEVEL", "TEMPORAL_ADDRESS")
    env = {name: value for name, value in os.environ.items() if name not in drop}
    done = subprocess.run(
        ["make", "example-speech", "MODE=local"],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    said = done.stdout.splitlines()
    assert said[-1].startswith("ok   12 jobs, ")
    assert said[-1].endswith("never two jobs at once, none paid twice")
