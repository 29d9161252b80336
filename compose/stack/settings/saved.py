"""What outlives a command: settings saved at `up` until `make down`, and what was checked last.

Whatever is written here may hold a key of the user's, so nobody else may read it.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from compose.stack.private import write_private


@dataclass(frozen=True)
class Saved:
    """The mode the stack was started in (empty where none runs), what overrides `.env`, and whether
    its vendors are the mocks, which may run on another machine."""

    mode: str = ""
    overrides: Mapping[str, str] = field(default_factory=dict)
    mocks: bool = False


def _file(run_dir: Path) -> Path:
    return run_dir / "stack.json"


def read(run_dir: Path) -> Saved:
    """What was written last; nothing where nothing was, or where it can't be read."""
    try:
        found = json.loads(_file(run_dir).read_text(encoding="utf-8"))
        return Saved(found["mode"], found["overrides"], found["mocks"])
    except (OSError, ValueError, TypeError, KeyError):
        return Saved()


def write(run_dir: Path, state: Saved) -> None:
    """Replace what is saved."""
    write_private(_file(run_dir), json.dumps(asdict(state)))


def forget(run_dir: Path) -> None:
    """The stack is down; its overrides no longer count."""
    _file(run_dir).unlink(missing_ok=True)


def checked(run_dir: Path, name: str) -> str:
    """For what a check has passed last; empty where that is not known."""
    try:
        return (run_dir / name).read_text(encoding="utf-8")
    except OSError:
        return ""


def note_checked(run_dir: Path, name: str, what: str) -> None:
    """A check has passed for this; outlives `make down`."""
    write_private(run_dir / name, what)
