"""A place is given up by the API, which is told the slot's name and the run."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from compose.stack.commands import slots
from compose.stack.errors import UNREACHABLE, USAGE, VERDICT, StackError
from tests.compose.stack.commands.conftest import in_a_thread
from tests.compose.stack.conftest import Load

VIEW = {"limit": 1, "holders": [], "waiting_count": 3}


class Api(BaseHTTPRequestHandler):
    """Frees whatever it is told, but the run `holds`."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server: Any = self.server
        server.calls.append((self.path, body, self.headers.get("Authorization")))
        refused = body == {"run_id": "holds"}
        self.send_response(409 if refused else 200)
        self.end_headers()
        answer = {"detail": "This run is not draining."} if refused else VIEW
        self.wfile.write(json.dumps(answer).encode())

    def log_message(self, format: str, *args: object) -> None:
        """Tests are quiet."""


@pytest.fixture
def api() -> Iterator[Any]:
    server: Any = HTTPServer(("127.0.0.1", 0), Api)
    server.calls = []
    with in_a_thread(server):
        yield server


@pytest.mark.parametrize(
    ("environ", "path"),
    [({}, "/slots/job/free"), ({"NAME": "a/b"}, "/slots/a%2Fb/free")],
)
def test_the_place_of_a_run_is_given_up(
    api: Any,
    settings: Load,
    capsys: pytest.CaptureFixture[str],
    *,
    environ: dict[str, str],
    path: str,
) -> None:
    found = settings(API_PORT=str(api.server_port), API_TOKEN="a-token-of-the-tests")

    slots.free(found, {"RUN": "r-1", **environ})

    assert api.calls == [(path, {"run_id": "r-1"}, "Bearer a-token-of-the-tests")]
    assert "is free; held now: 0 of 1, waiting: 3" in capsys.readouterr().out


def test_a_refusal_is_in_the_apis_own_words(api: Any, settings: Load) -> None:
    with pytest.raises(StackError, match="refuses: This run is not draining") as caught:
        slots.free(settings(API_PORT=str(api.server_port)), {"RUN": "holds"})
    assert caught.value.status == VERDICT


def test_it_needs_a_run_and_an_api(settings: Load) -> None:
    with pytest.raises(StackError, match="needs RUN=") as caught:
        slots.free(settings(), {"NAME": "job"})
    assert caught.value.status == USAGE
    with pytest.raises(StackError, match="does not answer") as caught:
        slots.free(settings(API_PORT="1"), {"RUN": "r-1"})
    assert caught.value.status == UNREACHABLE
