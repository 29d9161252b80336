"""`make namespace` says what it made, or how somebody else does."""

import pytest

from compose.stack.commands import namespace
from compose.stack.errors import USAGE, StackError
from compose.stack.modes import choice
from compose.stack.preflight import namespace as preflight
from compose.stack.preflight.namespace import Outlook
from compose.stack.settings.load import Settings
from tests.compose.stack.conftest import Load

ELSEWHERE = "temporal.example:7233"


@pytest.fixture
def here(settings: Load, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr(choice, "prepared", lambda _: None)
    return settings(TEMPORAL_ADDRESS=ELSEWHERE)


def found(monkeypatch: pytest.MonkeyPatch, outlook: Outlook) -> None:
    monkeypatch.setattr(preflight, "look", lambda *_: outlook)


def test_what_was_made_is_told(
    here: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found(monkeypatch, Outlook("", done=["namespace ours"]))
    namespace.prepare(here, {"DAYS": "7"})
    assert capsys.readouterr().out.splitlines() == [
        "made: namespace ours",
        f"all that is needed is there, at {ELSEWHERE}",
    ]


def test_what_was_not_is_told_with_the_commands(
    here: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    found(monkeypatch, Outlook("it is missing", commands=["temporal a", "temporal b"]))
    with pytest.raises(StackError) as refused:
        namespace.prepare(here, {})
    assert str(refused.value).splitlines() == ["it is missing", "  temporal a", "  temporal b"]


@pytest.mark.parametrize("days", ["0", "x", "-1", "3651", "1.5", "9" * 5000])
def test_days_that_are_none(here: Settings, days: str) -> None:
    with pytest.raises(StackError, match="is not a whole number from 1 to") as refused:
        namespace.prepare(here, {"DAYS": days})
    assert refused.value.status == USAGE
    assert str(refused.value).startswith(f"DAYS={days[:200]}")


def test_a_server_of_our_own_that_is_down(settings: Load) -> None:
    with pytest.raises(StackError, match="a server of ours has all it needs"):
        namespace.prepare(settings(), {})
