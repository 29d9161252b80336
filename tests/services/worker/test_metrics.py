"""What the worker counts is there to be watched before anything was counted."""

import subprocess
import sys

import pytest

SHOW = (
    "import services.worker.results.storage; from prometheus_client import generate_latest;"
    " print(generate_latest().decode())"
)


@pytest.fixture(scope="module")
def shown() -> list[str]:
    """What a new process shows."""
    command = [sys.executable, "-c", SHOW]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


@pytest.mark.parametrize("name", ["genvideo_worker_stored_total", "genvideo_worker_units_total"])
@pytest.mark.parametrize("step", ["image", "video"])
def test_a_step_is_counted_from_none_on(shown: list[str], name: str, step: str) -> None:
    assert f'{name}{{step="{step}"}} 0.0' in shown
