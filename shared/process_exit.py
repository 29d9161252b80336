"""How a command that has talked to Temporal ends: with its own exit status."""

import os
import sys
from collections.abc import Callable
from typing import NoReturn

FAILED = 1


def run_and_exit(command: Callable[[], object]) -> NoReturn:
    """Run `command` and end the process with the status that it exits by, or 0.

    The interpreter is not taken down: a thread of the SDK's may still be handing it a result, and
    then signal 11 ends the process instead, up to a third of the time where it ends right after a
    call on a busy machine.
    What is raised, SystemExit apart, ends the process as ever.
    """
    status: str | int | None = None
    try:
        command()
    except SystemExit as end:
        status = end.code
    if isinstance(status, str):
        sys.stderr.write(f"{status}\n")
        status = FAILED
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(status or 0)
