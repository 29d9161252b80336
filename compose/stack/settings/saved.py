"""What the running stack was told on the command line; it holds until `make down` forgets it."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Remembered:
    """The mode the stack was started in (empty where none runs) and the settings said by hand."""

    mode: str = ""
    spoken: Mapping[str, str] = field(default_factory=dict)


def _file(run_dir: Path) -> Path:
    return run_dir / "stack.json"


def read(run_dir: Path) -> Remembered:
    """What was written last; nothing where nothing was, or where it can't be read."""
    try:
        return Remembered(**json.loads(_file(run_dir).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return Remembered()


def write(run_dir: Path, state: Remembered) -> None:
    """Replace the note; it may hold an API key, so nobody else may read it."""
    write_private(_file(run_dir), json.dumps({"mode": state.mode, "spoken": dict(state.spoken)}))


def forget(run_dir: Path) -> None:
    """The stack is down; what was said to it no longer counts."""
    _file(run_dir).unlink(missing_ok=True)


def replayed(run_dir: Path) -> str:
    """The digest of the code by which what is open has last been run; empty where none is known."""
    try:
        return (run_dir / "replayed").read_text(encoding="utf-8")
    except OSError:
        return ""


def alone(run_dir: Path) -> str:
    """Where it was last found that no other stack is; empty where nowhere was."""
    try:
        return (run_dir / "alone").read_text(encoding="utf-8")
    except OSError:
        return ""


def note_alone(run_dir: Path, place: str) -> None:
    """No other stack is there; outlives `make down`."""
    write_private(run_dir / "alone", place)


def note_replayed(run_dir: Path, digest: str) -> None:
    """What is open is run by this code from now on; outlives `make down`."""
    write_private(run_dir / "replayed", digest)


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    draft.replace(path)
