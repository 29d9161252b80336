"""End a command that has used Temporal's SDK with the right exit status."""

import os
import sys
from collections.abc import Callable
from typing import NoReturn

FAILED = 1


def run_and_exit(command: Callable[[], object]) -> NoReturn:
    """Run `command` and end the process with its exit status, or 0.

    Skip the interpreter's shutdown, because a thread of the SDK may still be handing over a result.
    Then signal 11 would end the process, up to a third of the time on a busy machine. Exceptions
    other than SystemExit end the process as usual.
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
