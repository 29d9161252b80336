"""The seal of a run or a proof: a hash of each file, and one number that stands for them all.

Somebody who changes a file can seal it again, but not under the same root.
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
OF_PROOF = ("raw/*", f"*/**/{NAME}", "*/*/result.json")


@dataclass(frozen=True, slots=True)
class Seal:
    """The root of a run's hashes, and every file that they no longer fit."""

    root: str = NONE
    broken: tuple[str, ...] = ()


def write(folder: RunFolder, files: tuple[str, ...] = OF_RUN) -> str:
    """Seal what was noted; returns the root. `sha256sum -c SHA256SUMS` checks it, too."""
    sums = {name: _hash(folder.path / name) for name in _noted(folder, files)}
    _write(folder, sums)
    return root(sums)


def add(folder: RunFolder, path: Path) -> None:
    """Take in one file that came after the seal; of the others nothing is read again."""
    sums = _read(folder)
    if sums:
        name = path.relative_to(folder.path).as_posix()
        _write(folder, sums | {name: _hash(path)})


def check(folder: RunFolder, files: tuple[str, ...] = OF_RUN) -> Seal:
    """Read every file again. What was never sealed has no root."""
    sums = _read(folder)
    there = set(_noted(folder, files))
    changed = [
        f"{name} was changed"
        for name, noted in sums.items()
        if name in there and _hash(folder.path / name) != noted
    ]
    gone = [f"{name} was removed" for name in sums.keys() - there]
    added = [f"{name} was added" for name in there - sums.keys()] if sums else []
    return Seal(root(sums) if sums else NONE, tuple(sorted(changed + gone + added)))


def root(sums: dict[str, str]) -> str:
    """The root of a Merkle tree over the files in the order of their names."""
    level = [
        hashlib.sha256(b"\0" + f"{sums[name]}  {name}".encode()).digest() for name in sorted(sums)
    ]
    while len(level) > 1:
        pairs = zip(level[::2], level[1::2], strict=False)
        above = [hashlib.sha256(b"\1" + left + right).digest() for left, right in pairs]
        level = above + level[len(above) * 2 :]
    return level[0].hex() if level else NONE


def _noted(folder: RunFolder, files: tuple[str, ...]) -> Iterator[str]:
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


def _write(folder: RunFolder, sums: dict[str, str]) -> None:
    text = "".join(f"{sums[name]}  {name}\n" for name in sorted(sums))
    (folder.path / NAME).write_text(text, encoding="utf-8")


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
