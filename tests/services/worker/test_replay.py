"""The program that replays what a load test has kept."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.replay.test_replay import HISTORIES


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "services.worker.replay", *arguments],
        env=dict(os.environ) | {"PAYLOAD_KEY": ""},
        capture_output=True,
        text=True,
        check=False,
    )


def test_what_has_changed_is_named_by_its_job(tmp_path: Path) -> None:
    (tmp_path / "job-good.json").write_text(HISTORIES["failed"], encoding="utf-8")
    other = HISTORIES["failed"].replace('"gen_image"', '"gen_picture"')
    (tmp_path / "job-bad.json").write_text(other, encoding="utf-8")

    ended = run(str(tmp_path))

    found = json.loads(ended.stdout.splitlines()[-1])
    assert (ended.returncode, found["replayed"], list(found["failures"])) == (0, 2, ["job-bad"])
    assert "ondeterminis" in found["failures"]["job-bad"]


def test_a_folder_is_needed(tmp_path: Path) -> None:
    for arguments in ([], [str(tmp_path / "nowhere")], [str(tmp_path), "more"]):
        ended = run(*arguments)
        assert (ended.returncode, ended.stdout) == (2, "")
        assert "usage" in ended.stderr
