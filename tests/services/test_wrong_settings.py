"""`python -m services.X` with wrong settings: one line, status 2, and nothing is written."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from compose.stack.services import ALL, TEMPORAL, Service

ROOT = Path(__file__).resolve().parents[2]
OURS = [service for service in ALL if service is not TEMPORAL]


def started(service: Service, folder: Path, **environ: str) -> tuple[int, str]:
    known = {
        "PATH": os.defpath,
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
        "CALLBACK_SECRET": "x" * 32,
        service.port: "0",
    }
    done = subprocess.run(
        [sys.executable, "-P", "-m", service.module],
        cwd=folder,
        env=known | environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == ""
    return done.returncode, done.stderr


@pytest.mark.parametrize("service", OURS, ids=lambda service: service.name)
def test_mistakes_are_one_line_and_exit_with_2(service: Service, tmp_path: Path) -> None:
    status, said = started(service, tmp_path, LOG_LEVEL="LOUD", ALLOWED_HOSTS="a:1")
    assert status == 2
    (line,) = said.splitlines()
    assert line.startswith("wrong settings: ")
    assert f"{service.port}: " in line
    assert "LOG_LEVEL: " in line
    assert "ALLOWED_HOSTS: not names or addresses without a port: a:1" in line
    assert list(tmp_path.iterdir()) == []
