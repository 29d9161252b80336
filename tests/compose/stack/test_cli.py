"""Whatever goes wrong on this machine is one line and an exit status, and no verdict."""

import os
import sys
from pathlib import Path

import pytest

from compose.stack import cli
from compose.stack.errors import USAGE


def test_a_folder_that_can_not_be_made_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    folder = tmp_path / ("x" * 300)
    monkeypatch.setattr(cli, "ENV", {"DATA_DIR": str(folder), "MODE": "local"})

    assert cli.main(["up"]) == USAGE
    assert capsys.readouterr().err == f"{folder / 'run'}: {os.strerror(36)}\n"


@pytest.mark.parametrize(
    ("name", "environ", "begin"),
    [
        ("stdout", {}, "usage: "),
        ("stderr", {}, "\x1b[31musage: "),
        ("stderr", {"CI": "true"}, "usage: "),
        ("stderr", {"NO_COLOR": "1"}, "usage: "),
    ],
)
def test_a_complaint_has_colour_where_it_goes_to_a_terminal(
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
