"""Faults are sent to the mocks as they are given; a stuck drain's place is given up by the API."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from compose.stack.commands import mocks
from compose.stack.output import UNREACHABLE, USAGE, VERDICT, StackError
from compose.stack.settings import Settings
from tests.compose.stack.commands.conftest import in_a_thread
from tests.compose.stack.conftest import Load

RULE = {"name": "r", "where": "callback", "do": "lose", "fired": 2, "applies": True}


class Mock(BaseHTTPRequestHandler):
    """Notes what comes in; refuses a rule without `where` as the mocks do."""

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        server: Any = self.server
        server.calls.append((self.command, body))
        bad = self.command == "POST" and body == {"do": "lose"}
        answer = {"detail": "rule #1: where: missing"} if bad else server.answer
        self.send_response(422 if bad else 200)
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    do_GET = do_POST = do_DELETE = _answer

    def log_message(self, format: str, *args: object) -> None:
        """Tests are quiet."""


@pytest.fixture
def mock() -> Iterator[Any]:
    server: Any = HTTPServer(("127.0.0.1", 0), Mock)
    server.calls = []
    server.answer = {"rules": [RULE], "presets": [{"name": "lost-callbacks", "says": "none come"}]}
    with in_a_thread(server):
        yield server


@pytest.fixture
def both(mock: Any, settings: Load) -> Settings:
    """Settings under which the stand-in is the video service, and nobody the image service."""
    return settings(KLING_PORT=str(mock.server_port), COMFYUI_PORT="1")


@pytest.mark.parametrize("rule", ["{x", "[" * 100_000])
def test_a_rule_that_is_no_json_is_told(both: Settings, rule: str) -> None:
    with pytest.raises(StackError, match="is not JSON") as caught:
        mocks.arm(both, {"RULE": rule})
    assert caught.value.status == USAGE


def test_a_rule_goes_to_the_mock_it_is_for(mock: Any, both: Settings) -> None:
    with pytest.raises(StackError, match=r":1/admin/faults does not answer") as caught:
        mocks.arm(both, {"RULE": '{"where": "callback", "do": "lose"}', "ON": "kling"})
    assert caught.value.status == UNREACHABLE
    assert mock.calls == [("POST", {"where": "callback", "do": "lose"})]


@pytest.mark.parametrize(
    ("environ", "plan"),
    [
        ({"RULE": '[{"do": "a"}, {"do": "b"}]'}, {"rules": [{"do": "a"}, {"do": "b"}]}),
        ({"PRESET": "lost-callbacks"}, {"preset": "lost-callbacks"}),
    ],
)
def test_lists_and_presets(
    mock: Any, both: Settings, environ: dict[str, str], plan: object
) -> None:
    with pytest.raises(StackError):
        mocks.arm(both, environ | {"ON": "kling"})
    assert mock.calls == [("POST", plan)]


def test_a_refusal_is_in_the_mocks_own_words(both: Settings) -> None:
    with pytest.raises(StackError, match="faults refuses: rule #1: where: missing") as caught:
        mocks.arm(both, {"RULE": '{"do": "lose"}', "ON": "kling"})
    assert caught.value.status == USAGE


def test_armed_rules_are_listed_with_their_hits(
    mock: Any, settings: Load, capsys: pytest.CaptureFixture[str]
) -> None:
    port = str(mock.server_port)
    # Both services on one stand-in: settings refuse that, so it is put in behind their back.
    found = settings(KLING_PORT=port)
    found = found.model_copy(update={"ports": {**found.ports, "COMFYUI_PORT": mock.server_port}})
    mocks.show(found)
    assert "mock-kling    r     callback.lose  2" in capsys.readouterr().out
    mock.answer["rules"] = []
    mocks.show(found)
    assert "lost-callbacks  none come" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({}, "or RULE="),
        ({"RULE": "{}", "PRESET": "x"}, "or RULE="),
        ({"RULE": "{oops"}, "is not JSON: "),
        ({"RULE": "{}", "ON": "everything"}, "is not one of: comfyui, kling, both"),
    ],
)
def test_usage(settings: Load, environ: dict[str, str], said: str) -> None:
    with pytest.raises(StackError, match=said) as caught:
        mocks.arm(settings(), environ)
    assert caught.value.status == USAGE


def test_no_faults_where_the_mocks_are_off(settings: Load) -> None:
    found = settings(MOCKS="off", COMFYUI_URL="http://a", KLING_URL="http://b")
    with pytest.raises(StackError, match="the mocks are switched off"):
        mocks.show(found)


def test_beside_a_real_service_the_other_ones_mock_is_armed(mock: Any, settings: Load) -> None:
    real = {"MOCKS": "video", "COMFYUI_URL": "http://a"}
    found = settings(**real, KLING_PORT=str(mock.server_port), COMFYUI_PORT="1")
    mocks.arm(found, {"PRESET": "x"})
    mocks.clear(found)
    assert [method for method, _ in mock.calls] == ["POST", "GET", "DELETE"]
    with pytest.raises(StackError, match="the image service is real, and only mocks have"):
        mocks.arm(found, {"PRESET": "x", "ON": "comfyui"})


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

    mocks.free_slot(found, {"RUN": "r-1", **environ})

    assert api.calls == [(path, {"run_id": "r-1"}, "Bearer a-token-of-the-tests")]
    assert "is free; held now: 0 of 1, waiting: 3" in capsys.readouterr().out


def test_a_refusal_is_in_the_apis_own_words(api: Any, settings: Load) -> None:
    with pytest.raises(StackError, match="refuses: This run is not draining") as caught:
        mocks.free_slot(settings(API_PORT=str(api.server_port)), {"RUN": "holds"})
    assert caught.value.status == VERDICT


def test_it_needs_a_run_and_an_api(settings: Load) -> None:
    with pytest.raises(StackError, match="needs RUN=") as caught:
        mocks.free_slot(settings(), {"NAME": "job"})
    assert caught.value.status == USAGE
    with pytest.raises(StackError, match="does not answer") as caught:
        mocks.free_slot(settings(API_PORT="1"), {"RUN": "r-1"})
    assert caught.value.status == UNREACHABLE
