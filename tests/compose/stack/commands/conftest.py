"""An API that takes one job and tells of it, for those that try the vendors."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from compose.stack import modes
from compose.stack.commands import lifecycle, trial
from compose.stack.settings import Settings
from tests.compose.stack.conftest import Fake, Load
from tests.compose.stack.test_checks import GOOD, REAL, vendors

JOB = "job-0123456789abcdef01234567"
TIMES = [f"2026-11-26T12:00:0{second}Z" for second in range(10)]
CHANGES = [
    {
        "version": version,
        "at": TIMES[version],
        "status": "running" if step else "queued",
        "step": step,
        "percent": percent,
        "attempt": 0,
        "note": note,
    }
    for version, step, percent, note in (
        (1, None, 0, "queued"),
        (2, "image", 0, "the slot is ours"),
        (3, "image", 50, "half"),
        (4, "video", 100, "stored"),
    )
]


def record(changes: int, **ended: Any) -> dict[str, Any]:
    """As the API tells it after so many changes."""
    return {
        "job_id": JOB,
        "status": "running",
        "created_at": TIMES[0],
        "finished_at": None,
        "error": None,
        "asset_url": None,
        "attempts": {"image": 1, "video": 2},
        "transitions": CHANGES[:changes],
    } | ended


SUCCEEDED = record(4, status="succeeded", finished_at=TIMES[5])
ERROR = {"code": "refused_for_good", "message": "HTTP 402: no money"}
FAILED = record(4, status="failed", finished_at=TIMES[5], error=ERROR)


class Api(BaseHTTPRequestHandler):
    """Takes a job, and gives its records one after the other; None is not there yet."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server: Any = self.server
        server.orders.append((self.path, body, self.headers.get("Authorization")))
        server.keys.append(self.headers.get("Idempotency-Key"))
        if server.submitted is not None:
            self._answer(server.submitted, {"job_id": JOB, "detail": "prompt: It is too long."})

    def do_GET(self) -> None:
        server: Any = self.server
        if self.path == "/admin/ledger":
            self._answer(200, server.ledger)
            return
        assert self.path == f"/jobs/{JOB}/record"
        left = server.records
        told = left.pop(0) if len(left) > 1 else left[0]
        self._answer(200 if told else 404, told or {"detail": "no record yet"})

    def _answer(self, status: int, body: object) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, format: str, *args: object) -> None:
        """Tests are quiet."""


@contextmanager
def in_a_thread(server: HTTPServer) -> Iterator[None]:
    """It serves until the end of the block."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def api() -> Iterator[Any]:
    server: Any = HTTPServer(("127.0.0.1", 0), Api)
    server.orders, server.keys, server.submitted = [], [], 202
    server.records = [None, record(1), record(3), SUCCEEDED]
    server.ledger = []
    with in_a_thread(server):
        yield server


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch) -> Fake:
    """What runs; nothing is started, and nobody waits between two looks."""
    run = vendors(GOOD)
    run.prepare()
    monkeypatch.setattr(lifecycle, "up", lambda settings: None)
    monkeypatch.setattr(modes, "chosen", lambda _: run)
    monkeypatch.setattr(trial, "POLL_SECONDS", 0)
    monkeypatch.setattr(trial, "SUBMIT_PAUSE", 0)
    monkeypatch.setenv("NO_COLOR", "1")
    return run


@pytest.fixture
def given(api: Any, stack: Fake, settings: Load) -> Load:
    """Settings under which the stand-in is the API, and both mocks."""

    def load(**environ: str) -> Settings:
        found = settings(**environ, API_TOKEN="t" * 16)
        names = ("API_PORT", "COMFYUI_PORT", "KLING_PORT")
        ports = dict(found.ports) | dict.fromkeys(names, api.server_port)
        return found.model_copy(update={"ports": ports})

    return load


@pytest.fixture
def real(given: Load) -> Settings:
    return given(**REAL)
