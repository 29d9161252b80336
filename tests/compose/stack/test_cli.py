"""Whatever goes wrong on this machine is one line and an exit status, and no verdict."""

import os
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
