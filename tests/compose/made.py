"""What a line of make hands to compose/stack: its words and its environment; nothing is started."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_END, _RECORD = "\0", "\036"
# Its words, an empty one, its environment.
_STUB = r"""#!/bin/sh
printf '%s\0' "$@" ''
env -0
printf '\036'
"""


@dataclass(frozen=True)
class Made:
    """One command that reached compose/stack."""

    words: list[str]
    environ: Mapping[str, str]


def project(folder: Path) -> Path:
    """A folder with our Makefile, and a compose/stack.sh that only tells what it was told."""
    shutil.copy(ROOT / "Makefile", folder)
    stub = folder / "compose" / "stack.sh"
    stub.parent.mkdir()
    stub.write_text(_STUB)
    stub.chmod(0o755)
    return folder


def made(line: str, folder: Path) -> list[Made]:
    """Run a line as it is printed, in a shell; each command that came of it."""
    clean = {k: os.environ[k] for k in ("PATH", "HOME") if k in os.environ}
    done = subprocess.run(
        ["sh", "-c", line], cwd=folder, env=clean, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{line}:\n{done.stdout}{done.stderr}"
    return [_read(said) for said in done.stdout.split(_RECORD)[:-1]]


def _read(said: str) -> Made:
    words, environ = said.split(_END * 2, 1)
    pairs = [pair.partition("=") for pair in environ.split(_END)[:-1]]
    return Made(words.split(_END), {name: value for name, _, value in pairs})
