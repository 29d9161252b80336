"""`python -m services.X --check`: reads the settings and ends; nothing is written or called."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from compose.stack.services import ALL, TEMPORAL, Service

ROOT = Path(__file__).resolve().parents[2]
OURS = [service for service in ALL if service is not TEMPORAL]


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """Has the port that a service would take, and waits where it would call."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        found.setblocking(False)
        yield found


def check(service: Service, folder: Path, port: int, **environ: str) -> tuple[int, str]:
    address = f"127.0.0.1:{port}"
    known = {
        "PATH": os.defpath,
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
        "CALLBACK_SECRET": "x" * 32,
        "TEMPORAL_ADDRESS": address,
        "IMAGE_SERVICE_URL": f"http://{address}",
        "VIDEO_SERVICE_URL": f"http://{address}",
        service.port: str(port),
    }
    done = subprocess.run(
        [sys.executable, "-P", "-m", service.module, "--check"],
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
def test_settings_that_are_right_end_it_with_0(
    service: Service, tmp_path: Path, listener: socket.socket
) -> None:
    assert check(service, tmp_path, listener.getsockname()[1]) == (0, "")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(BlockingIOError):
        listener.accept()


@pytest.mark.parametrize("service", OURS, ids=lambda service: service.name)
def test_mistakes_are_one_line_and_end_it_with_2(service: Service, tmp_path: Path) -> None:
    status, said = check(service, tmp_path, 0, LOG_LEVEL="LOUD", ALLOWED_HOSTS="a:1")
    assert status == 2
    (line,) = said.splitlines()
    assert line.startswith("wrong settings: ")
    assert f"{service.port}: " in line
    assert "LOG_LEVEL: " in line
    assert "ALLOWED_HOSTS: no names or addresses without a port: a:1" in line
    assert list(tmp_path.iterdir()) == []


def test_no_service_needs_more_than_its_settings_for_it() -> None:
    """`make up` asks all of them: what is heavy is imported by those that go on."""
    modules = [f"{service.module}.__main__" for service in OURS]
    code = f"import sys, {', '.join(modules)}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    known = set(done.stdout.split())
    assert set(modules) <= known
    assert not known & {"temporalio", "fastapi", "httpx", "structlog", "av", "PIL", "cryptography"}
