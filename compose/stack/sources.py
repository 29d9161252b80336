"""The source by a digest of its files, and copies of it that are named by theirs.

A process runs from such a copy and goes on from what it was started with: without one, a crash in
the middle of a `git pull` would start half a release.
"""

import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from compose.stack.errors import StackError

_NOT_SOURCE = shutil.ignore_patterns("__pycache__")


def digest(root: Path, names: Iterable[str], *, salt: str = "") -> str:
    """Changes with the name or content of any of these files and folders, bytecode apart."""
    found = hashlib.sha256(salt.encode())
    for path in sorted(path for name in names for path in _files(root / name)):
        found.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes() + b"\0")
    return found.hexdigest()[:16]


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
    for directory, below, files in os.walk(path):
        below[:] = [name for name in below if name != "__pycache__"]
        yield from (Path(directory, name) for name in files)


def copy(root: Path, home: Path, names: Sequence[str]) -> None:
    """Have these files and folders of `root` in `home`, whole; its name says their digest."""
    if home.is_dir():
        return
    draft = home.with_name(f"{home.name}.new")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    for name in names:
        _copy_one(root / name, draft / name)
    if digest(draft, names) != home.name:
        shutil.rmtree(draft)
        raise StackError("the code has changed while it was copied; again, please")
    draft.rename(home)


def _copy_one(source: Path, target: Path) -> None:
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
