"""The seal of a proof: the seals of its runs, and what was noted beside them, under one root."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from loadtest.books import seal
from loadtest.books.seal import Seal


def write(folder: Path) -> str:
    """Seal what is there; `sha256sum -c SHA256SUMS` checks it, too, and then that of each run."""
    sums = {name: _hash(folder / name) for name in _noted(folder)}
    text = "".join(f"{digest}  {name}\n" for name, digest in sorted(sums.items()))
    (folder / seal.NAME).write_text(text, encoding="utf-8")
    return seal.root(sums)


def check(folder: Path) -> Seal:
    """What has changed since; a proof that has not come to its end has no root."""
    sums = _read(folder / seal.NAME)
    if not sums:
        return Seal()
    there = {name: _hash(folder / name) for name in _noted(folder)}
    broken = [
        f"{name} was {'changed' if name in there else 'removed'}"
        for name, digest in sums.items()
        if there.get(name) != digest
    ]
    broken += [f"{name} was added" for name in there.keys() - sums.keys()]
    return Seal(seal.root(sums), tuple(sorted(broken)))


def _noted(folder: Path) -> Iterator[str]:
    """Each run's own seal stands for its records; a chaos run has a result besides."""
    for pattern in ("raw/*", f"*/*/{seal.NAME}", "*/*/result.json"):
        for path in folder.glob(pattern):
            if path.is_file() and not path.parent.is_symlink():
                yield path.relative_to(folder).as_posix()


def _read(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    pairs = (line.partition("  ") for line in lines)
    return {name: digest for digest, _, name in pairs if name}


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
