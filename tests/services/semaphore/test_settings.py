"""Settings of the semaphore's process."""

import pytest

from services.semaphore.settings import SemaphoreProcessSettings
from shared.semaphore.state import SemaphoreRules
from shared.settings.common import load


def test_every_mistake_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = {
        "SEMAPHORE_HTTP_PORT": "0",
        "SEMAPHORE_MAX_HISTORY": "3",
        "SEMAPHORE_CAPACITY": "0",
        "STACK": "My Stack",
        "STALL_SECONDS": "0",
        "LOG_FORMAT": "xml",
    }
    for name, value in wrong.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit):
        load(SemaphoreProcessSettings)
    line = capsys.readouterr().err
    assert all(f"{name}: " in line for name in wrong)


def test_rules_are_those_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEMAPHORE_MAX_HISTORY", "30")
    assert load(SemaphoreProcessSettings).rules() == SemaphoreRules(
        max_history=30, beat_seconds=1.4
    )
