"""What make was told becomes the chaos suite's options."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from compose.stack import chaos
from compose.stack.errors import StackError
from compose.stack.venv import Venv


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The options that were handed over; the suite itself fails its verdict."""
    calls: list[list[str]] = []

    def hand_over(command: Sequence[str], env: Mapping[str, str] | None = None, **_: Path) -> int:
        calls.append(list(command[3:]))
        return 1

    monkeypatch.setattr(chaos, "hand_over", hand_over)
    monkeypatch.setattr(Venv, "need", lambda self, lock: None)
    return calls


def test_without_options_it_draws_a_seed(asked: list[list[str]], tmp_path: Path) -> None:
    assert chaos.chaos(tmp_path, {}) == 1
    assert asked == [["--minutes", "5", "--mode", "local", "--reports", "reports"]]


def test_what_is_given_is_handed_on(asked: list[list[str]], tmp_path: Path) -> None:
    given = {"MINUTES": "0.5", "SEED": "7", "MODE": "docker", "REPORTS_DIR": "there"}
    chaos.chaos(tmp_path, given)

    assert asked == [
        ["--minutes", "0.5", "--mode", "docker", "--reports", "there", "--seed", "7"],
    ]


def test_auto_means_processes(asked: list[list[str]], tmp_path: Path) -> None:
    chaos.chaos(tmp_path, {"MODE": "auto"})

    assert asked[0][3] == "local"


def test_everything_wrong_is_named_at_once(asked: list[list[str]], tmp_path: Path) -> None:
    with pytest.raises(StackError) as refused:
        chaos.chaos(tmp_path, {"MINUTES": "0", "SEED": "x", "MODE": "cloud"})

    assert all(name in str(refused.value) for name in ("MINUTES=0", "SEED=x", "MODE=cloud"))
    assert asked == []
