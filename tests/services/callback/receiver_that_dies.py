"""A receiver that kills itself at a given line of its own code, counted from a callback's entry.

Run as a program it reads the number of a line and forks for each, so that hundreds of receivers
need one start. It writes the port of each as soon as that listens, then the signal that ended it.
"""

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path
from types import FrameType
from typing import Any

from services.callback.app import create_app
from services.callback.receiver import Receiver
from services.callback.settings import CallbackSettings
from shared.http.web import server

BEGINNING = Receiver.receive.__code__
OURS = str(Path(BEGINNING.co_filename).parent)


class Killer:
    """Counts the lines that are reached for the first time; SIGKILL at the chosen one."""

    def __init__(self, line: int) -> None:
        self.line = line
        self.seen: set[tuple[str, int]] = set()
        self.armed = False

    def __call__(self, frame: FrameType, event: str, _: Any) -> Any:
        if not frame.f_code.co_filename.startswith(OURS):
            return None
        self.armed = self.armed or frame.f_code is BEGINNING
        if self.armed and event == "line":
            self.seen.add((frame.f_code.co_filename, frame.f_lineno))
            if len(self.seen) == self.line:
                os.kill(os.getpid(), signal.SIGKILL)
        return self


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main() -> None:
    program = server(create_app(CallbackSettings()), "127.0.0.1", port=0, shutdown_seconds=1)
    for line in sys.stdin:
        child = os.fork()
        if not child:
            listener = socket.create_server(("127.0.0.1", 0))
            say(str(listener.getsockname()[1]))
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.settrace(Killer(int(line)))
            asyncio.run(program.serve(sockets=[listener]))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        say(str(os.WTERMSIG(status)))


if __name__ == "__main__":
    main()
