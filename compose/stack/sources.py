"""A digest of files, so that what was made or started from other ones is noticed."""

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path


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
