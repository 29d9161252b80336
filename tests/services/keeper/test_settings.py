"""Settings of the keeper's process."""

import pytest

from services.keeper.models import KeeperRules
from services.keeper.settings import KeeperProcessSettings
from shared.settings import load


def test_every_mistake_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = {
        "KEEPER_HTTP_PORT": "0",
        "KEEPER_MAX_HISTORY": "3",
        "KEEPER_CAPACITY": "0",
        "STACK": "My Stack",
        "STALL_SECONDS": "0",
        "LOG_FORMAT": "xml",
    }
    for name, value in wrong.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit):
        load(KeeperProcessSettings)
    line = capsys.readouterr().err
    assert all(f"{name}: " in line for name in wrong)


def test_the_port_is_the_documented_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KEEPER_HTTP_PORT", raising=False)
    assert load(KeeperProcessSettings).keeper_http_port == 9099


def test_the_rules_are_those_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEEPER_MAX_HISTORY", "30")
    assert load(KeeperProcessSettings).rules() == KeeperRules(max_history=30)
