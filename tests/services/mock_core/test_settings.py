"""A bad environment: one line that names every mistake, and exit status 2."""

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("module", "port"), [("mock_comfyui", "COMFYUI_PORT"), ("mock_kling", "KLING_PORT")]
)
def test_every_bad_setting_is_named_in_one_line(module: str, port: str) -> None:
    bad = {port: "99999", "MOCK_SPEED": "0", "MOCK_JOB_PATTERN": "("}
    found = subprocess.run(
        [sys.executable, "-m", f"services.{module}"],
        env={**os.environ, **bad},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert found.returncode == 2
    (line,) = found.stderr.splitlines()
    assert all(name in line for name in bad)
