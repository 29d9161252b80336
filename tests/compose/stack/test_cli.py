"""Whatever goes wrong on this machine is one line and an exit status, and no verdict."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from compose import venv
from compose.stack import cli, modes
from compose.stack.commands import mocks, runs, status
from compose.stack.output import USAGE, StackError
from compose.stack.settings import Settings
from tests.compose.stack.conftest import ROOT, Load


def test_folder_that_cannot_be_made_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    folder = tmp_path / ("x" * 300)
    monkeypatch.setattr(cli, "ENV", {"DATA_DIR": str(folder), "MODE": "local"})

    assert cli.main(["up"]) == USAGE
    assert capsys.readouterr().err == f"{folder / 'run/stack.json'}: {os.strerror(36)}\n"


def test_interrupt_while_the_commands_load_prints_nothing(tmp_path: Path) -> None:
    (tmp_path / "pydantic.py").write_text(
        "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-m", "compose.stack", "urls"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (-signal.SIGINT, "")


@pytest.mark.parametrize(
    ("name", "environ", "begin"),
    [
        ("stdout", {}, "usage: "),
        ("stderr", {}, "\x1b[31musage: "),
        ("stderr", {"NO_COLOR": "1"}, "usage: "),
    ],
)
def test_complaint_is_coloured_only_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *,
    name: str,
    environ: dict[str, str],
    begin: str,
) -> None:
    for each in ("CI", "NO_COLOR", "TERM"):
        monkeypatch.delenv(each, raising=False)
    for each, value in environ.items():
        monkeypatch.setenv(each, value)
    monkeypatch.setattr(getattr(sys, name), "isatty", lambda: True)

    assert cli.main(["dance"]) == USAGE
    assert capsys.readouterr().err.startswith(begin)


@pytest.mark.parametrize(
    ("command", "environ", "said"),
    [
        (
            status.logs,
            {"S": "wroker", "LINES": "x", "FOLLOW": "yes"},
            (
                "S=wroker (environment) names wroker; known are",
                "LINES=x (environment) is not",
                "FOLLOW=yes (environment) is not one of: 0, 1",
            ),
        ),
        (
            runs.ladder,
            {"PRIORITIES": "2", "RESET": "yes"},
            ("PRIORITIES=2 (environment) is not one of: 0, 1; RESET=yes (environment) is not",),
        ),
        (
            mocks.arm,
            {"RULE": "{"},
            ("RULE={ (environment) is not JSON",),
        ),
    ],
)
def test_all_wrong_arguments_are_reported(
    settings: Load,
    monkeypatch: pytest.MonkeyPatch,
    *,
    command: Callable[[Settings, Mapping[str, str]], object],
    environ: dict[str, str],
    said: tuple[str, ...],
) -> None:
    monkeypatch.delattr(modes, "prepared")
    with pytest.raises(StackError) as refused:
        command(settings(), environ)
    assert refused.value.status == USAGE
    assert "\n" not in str(refused.value)
    assert all(each in str(refused.value) for each in said)


def test_commands_without_a_stack_get_the_development_tools() -> None:
    """Without them a fresh clone has no `uv` to build a wheel with, say. `bench` needs none."""
    assert set(cli.STANDALONE) - {"bench"} <= venv.DEVELOPMENT
