"""The command that repeats a run: its seed is in it, for a run without one draws a new one."""

import os
import shlex
import sys


def command(seed: int) -> str:
    """The line of make that ran this program (`MAKE_LINE`), or else the program's own."""
    if line := os.environ.get("MAKE_LINE"):
        return line if " SEED=" in line else f"{line} SEED={seed}"
    line = shlex.join([sys.executable, "-m", "loadtest", *sys.argv[1:]])
    return line if " --seed" in line else f"{line} --seed {seed}"
