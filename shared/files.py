"""Write files atomically: a reader never sees a half-written one. Digest folders."""

import contextlib
import errno
import hashlib
import os
import secrets
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

# As much as most of what we write; a disk with less is as good as full.
ROOM = 256 * 1024
# A younger unfinished file may belong to a live writer.
ABANDONED_SECONDS = 60.0


def no_room(folder: Path) -> str | None:
    """Return `No space left on device` if a folder's disk takes no more, otherwise None."""
    disk = os.statvfs(folder)
    blocks, files = (
        (disk.f_bfree, disk.f_ffree) if os.geteuid() == 0 else (disk.f_bavail, disk.f_favail)
    )
    full = blocks * disk.f_frsize < ROOM or (disk.f_files > 0 and files == 0)
    return os.strerror(errno.ENOSPC) if full else None


def folder_reason(folder: Path) -> str | None:
    """Return why a folder, which is made if it is missing, takes no writes; None if it does."""
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
    return no_room(folder) if os.access(folder, os.W_OK | os.X_OK) else f"{folder} can't be written"


def write_atomic(path: Path, data: bytes) -> None:
    """Replace `path` by `data` in one step, and make its folder if needed.

    No fsync, because the content can be made again from Temporal. A page that a power cut loses
    shows as a damaged file, which is repaired.
    """
    with _written_beside(path, data) as partial:
        os.replace(partial, path)


def create_atomic(path: Path, data: bytes) -> bool:
    """Do the same if nothing is there yet; otherwise return False and change nothing."""
    with _written_beside(path, data) as partial:
        try:
            os.link(partial, path)
        except FileExistsError:
            return False
        return True


@contextlib.contextmanager
def _written_beside(path: Path, data: bytes) -> Iterator[Path]:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        partial.write_bytes(data)
        yield partial
    finally:
        with contextlib.suppress(OSError):
            partial.unlink()


def forget_partials(
    folder: Path, names: str = ".*.part", *, seconds: float = ABANDONED_SECONDS
) -> int:
    """Remove unfinished files that are old enough; return how many."""
    removed = 0
    for partial in folder.glob(names):
        with contextlib.suppress(OSError):
            if time.time() - partial.stat().st_mtime > seconds:
                partial.unlink()
                removed += 1
    return removed


def digest(root: Path, names: Iterable[str], *, salt: str = "") -> str:
    """Return a digest that changes with the name or content of any of these files, except
    bytecode."""
    found = hashlib.sha256(salt.encode())
    for path in sorted(path for name in names for path in _source(root / name)):
        found.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes() + b"\0")
    return found.hexdigest()[:16]


def _source(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
    for directory, below, files in os.walk(path):
        below[:] = [name for name in below if name != "__pycache__"]
        yield from (Path(directory, name) for name in files)
