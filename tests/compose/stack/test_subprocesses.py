"""A command that is told to end ends what it has begun."""

import signal
import subprocess
import sys

import pytest

from compose.stack.cli import ROOT

CHILD = """
import sys, time
print("begun", flush=True)
try:
    time.sleep(60)
except KeyboardInterrupt:
    print("tidied up", flush=True)
    sys.exit(7)
"""
PARENT = f"""
import sys
from compose.stack.subprocesses import hand_over, heed_sigterm
heed_sigterm()
sys.exit(hand_over([sys.executable, "-c", {CHILD!r}]))
"""


@pytest.mark.parametrize("ignored", ["", "trap '' INT; "], ids=["foreground", "background"])
def test_sigterm_is_handed_on_as_an_interrupt(ignored: str) -> None:
    """A job in the background of a script is born with interrupts ignored."""
    command = ["bash", "-c", f'{ignored}exec "$0" "$@"', sys.executable, "-c", PARENT]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=30)
    assert (said, process.returncode) == ("tidied up\n", 7)
