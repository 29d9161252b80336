"""A process of the local mode becomes the service with its own settings."""

import json
import os
import subprocess
import sys
from pathlib import Path

from compose.stack.processes import launch
from compose.stack.processes.launch import MARK


def test_it_becomes_the_program_with_its_settings_and_nobody_elses(tmp_path: Path) -> None:
    show = f"import os; print(*map(os.environ.get, ('HOME', 'LC_ALL', 'A', 'B', '{MARK}')))"
    program = {"command": [sys.executable, "-c", show], "env": {"B": "价"}}
    file = tmp_path / "programs.json"
    file.write_text(json.dumps({"api": program}), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-P", launch.__file__, str(file), "api", "digest"],
        cwd=tmp_path,
        env=dict(os.environ) | {"HOME": "/here", "LC_ALL": "C.UTF-8", "A": "a key", "B": "lost"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == ["/here", "C.UTF-8", "None", "价", str(tmp_path)]
