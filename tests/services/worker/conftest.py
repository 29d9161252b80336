"""The worker's environment: bare, and with what a test puts there."""

import pytest

from services.worker.settings.worker import WorkerSettings
from shared.settings.common import load


@pytest.fixture
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting but the secret, which has no default."""
    for name in WorkerSettings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("CALLBACK_SECRET", "0123456789abcdef0123456789abcdef")


@pytest.fixture
def environ(
    bare_environment: None, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> dict[str, str]:
    """The settings that a test is parametrized with; they are set."""
    given: dict[str, str] = request.param
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    return given


def refusal(capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that is said where the worker's settings are refused."""
    with pytest.raises(SystemExit):
        load(WorkerSettings)
    line = capsys.readouterr().err
    assert line.startswith("wrong settings: ")
    assert line.count("\n") == 1
    return line
