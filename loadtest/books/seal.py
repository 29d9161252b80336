"""Seal a run or a proof: note a hash of each file, and one hash of these notes, the root.

A changed file can be sealed again, but not under the same root.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from loadtest.books.raw import RunFolder

NAME = "SHA256SUMS"
NONE = "none"
# Derived files can be made again, and are not sealed.
OF_RUN = ("raw/*", "histories/*")
# Each run's own seal stands for its records; a chaos run has a result besides.
OF_PROOF = (f"*/**/{NAME}", "*/*/result.json")


@dataclass(frozen=True, slots=True)
class Seal:
    """The root of a run's hashes, and every file that they no longer fit."""

    root: str = NONE
    broken: tuple[str, ...] = ()


def write(folder: RunFolder, files: tuple[str, ...] = OF_RUN) -> str:
    """Seal these files; return the root, as `sha256sum SHA256SUMS` prints it."""
    return _write(folder, {name: _hash(folder.path / name) for name in _there(folder, files)})


def add(folder: RunFolder, path: Path) -> None:
    """Add one file that was written after the seal, without reading the others again."""
    if sums := _read(folder):
        _write(folder, sums | {path.relative_to(folder.path).as_posix(): _hash(path)})


def check(folder: RunFolder, files: tuple[str, ...] = OF_RUN) -> Seal:
    """Read every file again; what was never sealed has no root."""
    if not (sums := _read(folder)):
        return Seal()
    there = set(_there(folder, files))
    changed = [
        f"{name} was changed"
        for name, noted in sums.items()
        if name in there and _hash(folder.path / name) != noted
    ]
    gone = [f"{name} was removed" for name in sums.keys() - there]
    added = [f"{name} was added" for name in there - sums.keys()]
    return Seal(_hash(folder.path / NAME), tuple(sorted(changed + gone + added)))


def _there(folder: RunFolder, files: tuple[str, ...]) -> Iterator[str]:
    for pattern in files:
        for path in folder.path.glob(pattern):
            if path.is_file() and not path.parent.is_symlink():
                yield path.relative_to(folder.path).as_posix()


def _read(folder: RunFolder) -> dict[str, str]:
    path = folder.path / NAME
    if not path.is_file():
        return {}
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    pairs = (line.partition("  ") for line in lines)
    return {name: digest for digest, _, name in pairs if name}


def _write(folder: RunFolder, sums: dict[str, str]) -> str:
    text = "".join(f"{sums[name]}  {name}\n" for name in sorted(sums))
    (folder.path / NAME).write_text(text, encoding="utf-8")
    return hashlib.sha256(text.encode()).hexdigest()


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
