"""Files and folders that only their owner may look into; a folder's lock, and a source's digest."""

import contextlib
import fcntl
import hashlib
import os
import stat
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from compose.stack.output import StackError, say

OTHERS = stat.S_IRWXG | stat.S_IRWXO


def private_folder(folder: Path) -> None:
    """Have a folder, closed to others; one that isn't ours to close stays as it is."""
    folder.mkdir(mode=stat.S_IRWXU, parents=True, exist_ok=True)
    mode = stat.S_IMODE(folder.stat().st_mode)
    if mode & OTHERS:
        with contextlib.suppress(PermissionError):
            folder.chmod(mode & ~OTHERS)


def own_folder(folder: Path) -> Path:
    """Have a private folder where anybody may make one; StackError where somebody else has."""
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=stat.S_IRWXU)
    found = folder.lstat()
    ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()
    if not ours or found.st_mode & OTHERS:
        raise StackError(f"{folder} is not a folder of ours alone: remove it, or set TMPDIR")
    return folder


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    private_folder(path.parent)
    # Made for its owner alone.
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text.encode("utf-8", "surrogateescape"))
        Path(draft).replace(path)
    except OSError as error:
        Path(draft).unlink(missing_ok=True)
        # Of a disk that is full the system names no file.
        raise OSError(error.errno, error.strerror, str(path)) from error


def give(folder: Path, owner: int) -> None:
    """Give a folder and what is in it to a user and the group of that number.

    By open folders, never by path: whoever writes in there must not lead us elsewhere by a link.
    """
    for _, _, names, handle in os.fwalk(folder.resolve(), follow_symlinks=False):
        if os.fstat(handle).st_uid != owner:
            os.fchown(handle, owner, owner)
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                if os.stat(name, dir_fd=handle, follow_symlinks=False).st_uid != owner:
                    os.chown(name, owner, owner, dir_fd=handle, follow_symlinks=False)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder's lock, for one command at a time; the kernel releases it however that ends."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another command is at work here; waiting for it …")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def digest(root: Path, names: Iterable[str], *, salt: str = "") -> str:
    """Changes with the name or content of any of these files and folders, bytecode apart."""
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
