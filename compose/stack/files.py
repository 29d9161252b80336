"""Private files and folders; a folder's lock, and a source's digest."""

import contextlib
import fcntl
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from compose.stack.output import StackError, say

OTHERS = stat.S_IRWXG | stat.S_IRWXO


def private_folder(folder: Path) -> None:
    """Make a folder that other users can't open; leave another user's folder unchanged."""
    folder.mkdir(mode=stat.S_IRWXU, parents=True, exist_ok=True)
    mode = stat.S_IMODE(folder.stat().st_mode)
    if mode & OTHERS:
        with contextlib.suppress(PermissionError):
            folder.chmod(mode & ~OTHERS)


def own_folder(folder: Path) -> Path:
    """Make a private folder in a public place; raise StackError if another user owns it."""
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=stat.S_IRWXU)
    found = folder.lstat()
    ours = stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()
    if not ours or found.st_mode & OTHERS:
        raise StackError(f"{folder} is not a private folder of this user: remove it, or set TMPDIR")
    return folder


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    private_folder(path.parent)
    # Made for its owner only.
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text.encode("utf-8", "surrogateescape"))
        Path(draft).replace(path)
    except OSError as error:
        Path(draft).unlink(missing_ok=True)
        # For a full disk the system names no file.
        raise OSError(error.errno, error.strerror, str(path)) from error


def give(folder: Path, owner: int) -> None:
    """Give a folder and its content to a user and the group of that number.

    It uses open folders, never paths, because a link in the folder could lead elsewhere.
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
    """Make a private folder and hold its lock, for one command at a time; the kernel releases it
    after a crash."""
    private_folder(folder)
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another command is running here; waiting for it …")
            fcntl.flock(handle, fcntl.LOCK_EX)
        # The first command may have removed it.
        with contextlib.nullcontext() if os.fstat(handle).st_nlink else locked(folder):
            yield
    finally:
        os.close(handle)
