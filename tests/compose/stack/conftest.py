"""A project folder of its own for each test, so that none sees the real `.env`; a stack that starts
nothing, and a service that answers as a test wants."""

import fcntl
import json
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from compose.stack.local import Local
from compose.stack.services import Service, Unit
from compose.stack.settings import Settings, load
from compose.stack.subprocesses import Outcome

ROOT = Path(__file__).resolve().parents[3]
Load = Callable[..., Settings]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with nothing in it but the list of settings."""
    (tmp_path / ".env.example").write_bytes((ROOT / ".env.example").read_bytes())
    return tmp_path


@pytest.fixture
def settings(root: Path) -> Load:
    """Loads settings from the given environment alone."""
    return lambda **environ: load(root, environ)


class Fake(Local):
    """Starts nothing: answers for the programs that it is asked to run, by the last part of their
    names, and notes them."""

    python = "a clone/py"
    reports = "there"

    def __init__(
        self,
        answers: dict[str, Outcome] | None = None,
        *,
        running: Sequence[Unit] = (),
        ready: bool = False,
    ) -> None:
        self.answers = answers or {}
        self.running = [*running]
        self.ready = ready
        self.asked: list[tuple[str, ...]] = []

    def prepare(self) -> Path:
        self.ready = True
        return Path()

    def serve(self) -> None:
        self.asked.append(("serve",))

    def ask(self, service: Service, *program: str, timeout: float) -> Outcome:
        assert self.ready
        assert program[0].startswith(service.module)
        self.asked.append(program)
        return self.answers[program[0].removeprefix("services.")]

    def units(self) -> list[Unit]:
        return self.running


class Call(NamedTuple):
    method: str
    path: str
    body: Any
    token: str | None


class Listener(HTTPServer):
    """Notes each call, and answers with a status and a body; with nothing if there is none."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.calls: list[Call] = []
        self.answer: Callable[[Call], tuple[int, object] | None] = lambda _: (200, {})

    @property
    def port(self) -> str:
        return str(self.server_port)


class _Handler(BaseHTTPRequestHandler):
    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        call = Call(self.command, self.path, body, self.headers.get("Authorization"))
        assert isinstance(self.server, Listener)
        self.server.calls.append(call)
        if answer := self.server.answer(call):
            self.send_response(answer[0])
            self.end_headers()
            self.wfile.write(json.dumps(answer[1]).encode())

    do_GET = do_POST = do_DELETE = _answer

    def log_message(self, format: str, *args: object) -> None:
        """Tests are quiet."""


@pytest.fixture
def listener() -> Iterator[Listener]:
    server = Listener()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def held(folder: Path) -> bool:
    """Whether another command would have to wait."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False
