"""What make was told becomes the options of a suite; checks that fail are shown and named."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from compose.stack.commands import develop
from compose.stack.commands.develop import Check
from compose.stack.output import VERDICT, StackError


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The options that were handed over; the suite itself fails its verdict."""
    calls: list[list[str]] = []

    def hand_over(command: Sequence[str], env: Mapping[str, str] | None = None, **_: Path) -> int:
        calls.append(list(command[3:]))
        return 1

    monkeypatch.setattr(develop, "hand_over", hand_over)
    return calls


def test_open_quote_in_options_is_refused(asked: list[list[str]], tmp_path: Path) -> None:
    with pytest.raises(StackError, match="ARGS=it's has an unclosed quote"):
        develop.test(tmp_path, {"ARGS": "it's"})
    assert asked == []


GIVEN = {"MINUTES": "0.5", "SEED": "7"}


@pytest.mark.parametrize(
    ("suite", "given", "handed"),
    [
        ("chaos", {}, "--minutes 5 --mode local --deck all --reports-dir reports"),
        (
            "chaos",
            GIVEN | {"MODE": "docker", "DECK": "kills", "REPORTS_DIR": "there"},
            "--seed 7 --minutes 0.5 --mode docker --deck kills --reports-dir there",
        ),
        (
            "simulation",
            GIVEN | {"HISTORIES": "9", "KINDS": "cancel,reset"},
            "--seed 7 --minutes 0.5 --histories 9 --kinds cancel,reset",
        ),
        ("mutants", {"ONLY": "two-holders,hash-wrong"}, "--only two-holders,hash-wrong"),
    ],
)
def test_suite_gets_the_given_options(
    asked: list[list[str]], tmp_path: Path, suite: str, *, given: dict[str, str], handed: str
) -> None:
    assert develop.suite(tmp_path, suite, given) == 1
    assert asked == [handed.split()]


@pytest.mark.parametrize(
    ("suite", "wrong"),
    [
        ("chaos", {"MINUTES": "0", "SEED": "x", "MODE": "cloud", "DECK": "tarot"}),
        ("simulation", {"MINUTES": "0", "SEED": "x", "HISTORIES": "0", "KINDS": "reset,"}),
        ("mutants", {"ONLY": "hash-wrong,"}),
    ],
)
def test_all_mistakes_are_reported(
    asked: list[list[str]], tmp_path: Path, suite: str, wrong: dict[str, str]
) -> None:
    with pytest.raises(StackError) as refused:
        develop.suite(tmp_path, suite, wrong)
    assert all(f"{name}={value}" in str(refused.value) for name, value in wrong.items())
    assert asked == []


def tool(name: str, program: str) -> Check:
    return name, (sys.executable, "-c", program), {}


GOOD = tool("good", "print('nothing to say')")
BAD = tool("bad", "import sys; print('found'); sys.exit('and told')")


@pytest.mark.parametrize(
    ("checks", "status", "last"),
    [((GOOD, GOOD), 0, "all checks passed"), ((BAD, GOOD, BAD), VERDICT, "failed: bad, bad")],
    ids=["all good", "some bad"],
)
def test_every_check_runs_and_failures_are_shown(
    checks: tuple[Check, ...],
    status: int,
    last: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(develop, "_checks", lambda *_: iter(checks))
    assert develop.check(tmp_path) == status
    said = capsys.readouterr().out.splitlines()
    assert said.count("ok   good") == checks.count(GOOD)
    assert said.count("BAD  bad") == said.count("found") == said.count("and told")
    assert said.count("BAD  bad") == checks.count(BAD)
    assert said[-1] == last


def test_size_is_counted_only_in_a_clone(tmp_path: Path) -> None:
    assert develop.size_line(tmp_path) == ""
    (tmp_path / "pyproject.toml").write_text("[[tool.importlinter.contracts]]\n")
    for name in ("shared/a.py", "shared/b/c.py", "tests/test_a.py", "docs/a.md", "docs/b/c.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("one\ntwo\n")
    for command in (("init", "--quiet"), ("add", ".")):
        subprocess.run(("git", *command), cwd=tmp_path, check=True)
    assert develop.size_line(tmp_path) == (
        "size: product 4 lines in 2 files, tests 2 lines in 1 files, dashboard 0 lines in 0 files, "
        "documentation 2 lines in 1 files, 1 import contracts"
    )
