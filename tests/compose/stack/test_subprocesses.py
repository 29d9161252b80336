"""A command that is stopped stops its children; output and input of other programs."""

import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from compose.stack.cli import ROOT
from compose.stack.subprocesses import must

CHILD = """
import sys, time
print("begun", flush=True)
try:
    time.sleep(60)
except KeyboardInterrupt:
    print("tidying", flush=True)
    sys.stdin.readline()
    print("tidied up", flush=True)
    sys.exit(7)
"""
PARENT = f"""
import sys
from compose.stack.subprocesses import hand_over, raise_on_sigterm
raise_on_sigterm()
sys.exit(hand_over([sys.executable, "-c", {CHILD!r}]))
"""


@pytest.mark.parametrize("ignored", ["", "trap '' INT; "], ids=["foreground", "background"])
def test_sigterm_is_passed_on_as_an_interrupt(ignored: str) -> None:
    """A job in the background of a script is born with interrupts ignored."""
    command = ["bash", "-c", f'{ignored}exec "$0" "$@"', sys.executable, "-c", PARENT]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.readline() == "tidying\n"
        # From make, which got the group's signal, too.
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate("\n", timeout=60)
    assert (said, process.returncode) == ("tidied up\n", 7)


def test_output_of_a_program_is_private(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "build.log"
    must([sys.executable, "-c", "print('a path of ours')"], doing="building", log=log)
    assert log.read_text() == "a path of ours\n"
    assert stat.S_IMODE(log.parent.stat().st_mode) == 0o700
