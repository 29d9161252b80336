"""A command ends with its own status and all that it said, and without the interpreter's end."""

import subprocess
import sys

import pytest

PROGRAM = """
import atexit, sys
from shared.process_exit import run_and_exit
atexit.register(print, "finalised")
def command():
    sys.stdout.write("said")
    {ending}
run_and_exit(command)
"""


def ended(ending: str) -> subprocess.CompletedProcess[str]:
    program = PROGRAM.format(ending=ending)
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.parametrize(
    ("ending", "status"),
    [("return 7", 0), ("sys.exit(3)", 3), ("sys.exit()", 0), ("sys.exit('why')", 1)],
)
def test_process_ends_with_the_commands_status(ending: str, status: int) -> None:
    found = ended(ending)
    assert (found.returncode, found.stdout) == (status, "said")
    assert found.stderr == ("why\n" if "why" in ending else "")


def test_exception_is_printed() -> None:
    found = ended("raise ValueError('no luck')")
    assert found.returncode == 1
    assert "ValueError: no luck" in found.stderr
