"""The alert rules by Prometheus' own word, where its `promtool` is installed."""

import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
FOLDER = HERE.parent.parent / "compose" / "observability"
pytestmark = pytest.mark.skipif(shutil.which("promtool") is None, reason="no promtool")


def _promtool(*words: str | Path) -> None:
    ended = subprocess.run(["promtool", *words], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_the_configuration_is_one_and_so_are_its_rules() -> None:
    _promtool("check", "config", FOLDER / "prometheus.yml")


def test_alerts_say_what_is_so_and_only_then(tmp_path: Path) -> None:
    told = (HERE / "alerts.yml").read_text(encoding="utf-8")
    file = tmp_path / "alerts.yml"
    file.write_text(told.replace("RULES", str(FOLDER / "alerts.yml")), encoding="utf-8")
    _promtool("test", "rules", file)
