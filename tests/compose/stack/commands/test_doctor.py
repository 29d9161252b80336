"""What `make doctor` says of the ports: who can reach each."""

import re

import pytest

from compose.stack.commands.doctor import doctor
from compose.stack.machine import ports
from tests.compose.stack.conftest import Load

PORT = re.compile(r"^(ok|bad) +port (\d+) +(.+)$", re.MULTILINE)


@pytest.fixture(autouse=True)
def all_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "free", lambda bind, port: True)
    monkeypatch.setenv("NO_COLOR", "1")


def said(settings: Load, capsys: pytest.CaptureFixture[str], **environ: str) -> dict[int, str]:
    """What it says of each port, with its verdict."""
    doctor(settings(MODE="local", **environ))
    lines = PORT.findall(capsys.readouterr().out)
    return {int(port): f"{verdict} {words}" for verdict, port, words in lines}


def test_every_port_is_on_loopback_by_default(
    settings: Load, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = said(settings, capsys, WORKERS="2")
    assert set(lines) == {6889, 7233, 8000, 8001, 8080, 9099, 9100, 9101, 16882}
    assert all(re.fullmatch("ok .+: loopback only", line) for line in lines.values()), lines
    assert lines[8080] == "ok Temporal UI: loopback only"


def test_what_is_open_is_told_with_its_address(
    settings: Load, capsys: pytest.CaptureFixture[str]
) -> None:
    opened = {"BIND_ADDRESS": "0.0.0.0", "CALLBACK_BIND_ADDRESS": "10.1.2.3"}
    lines = said(settings, capsys, API_TOKEN="x" * 16, **opened)
    everywhere = "whoever reaches 0.0.0.0 (every address of this machine)"
    assert lines.pop(8000) == f"ok API, WebSocket, dashboard: {everywhere}"
    assert lines.pop(8001) == "ok callback receiver: whoever reaches 10.1.2.3"
    assert all(line.endswith(": loopback only") for line in lines.values())


def test_an_open_api_without_a_token_is_bad(
    settings: Load, capsys: pytest.CaptureFixture[str]
) -> None:
    line = said(settings, capsys, API_BIND_ADDRESS="10.1.2.3")[8000]
    assert line.startswith("bad API, WebSocket, dashboard: whoever reaches 10.1.2.3, without")
    assert "API_TOKEN" in line.partition("->")[2]
