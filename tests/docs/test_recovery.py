"""The restore of the page, run as it is printed, with stand-ins for what it calls."""

import os
import subprocess
import textwrap
from pathlib import Path

from tests.docs.pages import ROOT

# The server deletes one run between two looks; each answer is the line that the program prints.
TEMPORAL = """#!/bin/sh
case "$2" in
delete) echo 2 >left ;;
count) left=$(cat left); echo "Total: $left"; echo $((left - 1)) >left ;;
esac
"""
MAKE = """#!/bin/sh
[ "$1" = up ] || cp left stopped
"""


def test_the_server_is_stopped_when_no_run_of_the_semaphore_is_left(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "recovery.md").read_text(encoding="utf-8")
    [block] = [part for part in page.split("```")[1::2] if "workflow delete" in part]
    program = tmp_path / ".venv" / "bin" / "temporal"
    program.parent.mkdir(parents=True)
    for path, text in ((program, TEMPORAL), (tmp_path / "make", MAKE)):
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755)
    script = textwrap.dedent(block.partition("sh\n")[2]).replace("sleep 1", "sleep 0")
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    subprocess.run(["sh", "-ec", script], cwd=tmp_path, env=env, check=True)
    assert int((tmp_path / "stopped").read_text(encoding="utf-8")) < 0
