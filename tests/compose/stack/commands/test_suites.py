"""What make was told becomes the options of a suite."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from compose.stack.commands import suites
from compose.stack.errors import StackError


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The options that were handed over; the suite itself fails its verdict."""
    calls: list[list[str]] = []

    def hand_over(command: Sequence[str], env: Mapping[str, str] | None = None, **_: Path) -> int:
        calls.append(list(command[3:]))
        return 1

    monkeypatch.setattr(suites, "hand_over", hand_over)
    return calls


def test_options_with_an_open_quote_are_told(asked: list[list[str]], tmp_path: Path) -> None:
    with pytest.raises(StackError, match="ARGS=it's has a quote that is left open"):
        suites.test(tmp_path, {"ARGS": "it's"})
    assert asked == []


def test_chaos_without_options_draws_a_seed(asked: list[list[str]], tmp_path: Path) -> None:
    assert suites.chaos(tmp_path, {}) == 1
    usual = ["--minutes", "5", "--deck", "all", "--mode", "local", "--reports", "reports"]
    assert asked == [usual]


def test_chaos_is_handed_what_is_given(asked: list[list[str]], tmp_path: Path) -> None:
    given = {"MINUTES": "0.5", "SEED": "7", "MODE": "docker", "REPORTS_DIR": "there"}
    suites.chaos(tmp_path, given | {"DECK": "kills"})

    options = {"minutes": "0.5", "deck": "kills", "mode": "docker", "reports": "there", "seed": "7"}
    assert asked == [[word for name, value in options.items() for word in (f"--{name}", value)]]


def test_auto_means_processes_to_chaos(asked: list[list[str]], tmp_path: Path) -> None:
    suites.chaos(tmp_path, {"MODE": "auto"})

    assert asked[0][asked[0].index("--mode") + 1] == "local"


def test_all_that_is_wrong_with_chaos_is_named(asked: list[list[str]], tmp_path: Path) -> None:
    with pytest.raises(StackError) as refused:
        suites.chaos(tmp_path, {"MINUTES": "0", "SEED": "x", "MODE": "cloud", "DECK": "tarot"})

    wrong = ("MINUTES=0", "SEED=x", "MODE=cloud", "DECK=tarot")
    assert all(name in str(refused.value) for name in wrong)
    assert asked == []


def test_a_simulation_takes_new_seeds(asked: list[list[str]], tmp_path: Path) -> None:
    assert suites.simulate(tmp_path, {}) == 1
    assert asked == [["--minutes", "10"]]


def test_a_simulation_is_handed_what_is_given(asked: list[list[str]], tmp_path: Path) -> None:
    given = {"MINUTES": "0.5", "SEED": "2611260355000", "HISTORIES": "9"}
    suites.simulate(tmp_path, given | {"KINDS": "cancel,reset", "MIX": "slow=0.1 jobs=5"})

    first, mix = ["--minutes", "0.5", "--seed", "2611260355000"], ["--mix", "slow=0.1 jobs=5"]
    assert asked == [[*first, "--histories", "9", "--kinds", "cancel,reset", *mix]]


def test_all_that_is_wrong_with_a_simulation_is_named(
    asked: list[list[str]], tmp_path: Path
) -> None:
    wrong = {"MINUTES": "0", "SEED": "x", "HISTORIES": "0", "KINDS": "reset,", "MIX": "slow"}
    with pytest.raises(StackError) as refused:
        suites.simulate(tmp_path, wrong)

    assert all(f"{name}={value}" in str(refused.value) for name, value in wrong.items())
    assert asked == []


def test_the_pictures_take_no_options(asked: list[list[str]], tmp_path: Path) -> None:
    assert suites.pictures(tmp_path) == 1
    assert asked == [[]]
