"""Copies of the source, each named by its digest: a process goes on from what it was started with.

Without them a crash in the middle of a `git pull` would start half a release.
"""

import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from compose.stack import sources
from compose.stack.errors import StackError

_NOT_SOURCE = shutil.ignore_patterns("__pycache__")


def make(root: Path, home: Path, names: Sequence[str]) -> None:
    """Have these files and folders of `root` in `home`, whole; its name says their digest."""
    if home.is_dir():
        return
    draft = home.with_name(f"{home.name}.new")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    for name in names:
        _copy(root / name, draft / name)
    if sources.digest(draft, names) != home.name:
        shutil.rmtree(draft)
        raise StackError("the code has changed while it was copied; again, please")
    draft.rename(home)


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=_NOT_SOURCE)
    elif source.is_file():
        shutil.copy2(source, target)


def keep_only(folder: Path, homes: Iterable[Path]) -> None:
    """Remove the copies that none of these is."""
    wanted = set(homes)
    for path in folder.glob("*"):
        if path not in wanted:
            shutil.rmtree(path)
