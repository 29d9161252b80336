"""What make was told becomes the simulation's options."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from compose.stack import simulate
from compose.stack.errors import StackError
from compose.stack.venv import Venv


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The options that were handed over; the simulation itself fails its verdict."""
    calls: list[list[str]] = []

    def hand_over(command: Sequence[str], env: Mapping[str, str] | None = None, **_: Path) -> int:
        calls.append(list(command[3:]))
        return 1

    monkeypatch.setattr(simulate, "hand_over", hand_over)
    monkeypatch.setattr(Venv, "need", lambda self, lock: None)
    return calls


def test_without_options_it_takes_new_seeds(asked: list[list[str]], tmp_path: Path) -> None:
    assert simulate.simulate(tmp_path, {}) == 1
    assert asked == [["--minutes", "10"]]


def test_what_is_given_is_handed_on(asked: list[list[str]], tmp_path: Path) -> None:
    simulate.simulate(tmp_path, {"MINUTES": "0.5", "SEED": "2611260355000"})

    assert asked == [["--minutes", "0.5", "--seed", "2611260355000"]]


def test_everything_wrong_is_named_at_once(asked: list[list[str]], tmp_path: Path) -> None:
    with pytest.raises(StackError) as refused:
        simulate.simulate(tmp_path, {"MINUTES": "0", "SEED": "x"})

    assert all(name in str(refused.value) for name in ("MINUTES=0", "SEED=x"))
    assert asked == []
