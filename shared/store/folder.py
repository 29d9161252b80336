"""The store of one machine: each key is a file below a folder.

Of two that replace a file at the very same moment one is told that it has: a worker that stood
still in mid-write may go on beside the one that does its task anew. The file that is replaced is
what they lock, so that a process takes its lock along when it is killed, and each key has its own.

Nothing but a plain file is opened: by a link another service that writes there would lead whoever
reads elsewhere, and by a pipe have them wait for ever.
"""

import contextlib
import errno
import fcntl
import os
import shutil
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from shared.files import create_atomic, write_atomic
from shared.store.protocol import Held, Listed

# What is read at once, a record, fits into a payload of Temporal's many times over.
LARGEST = 16 * 1024 * 1024


class Folder:
    """Files below `root`."""

    local = True

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, key: str) -> Path:
        """As the protocol says."""
        return self.root / key

    def read(self, key: str) -> Held | None:
        """As the protocol says; what can't be read, or is too large, is as good as damaged."""
        path = self.root / key
        try:
            with _opened(path) as file:
                data = file.read(LARGEST + 1)
                return Held(data if len(data) <= LARGEST else b"", _tag(os.fstat(file.fileno())))
        except FileNotFoundError:
            return None
        except OSError:
            return Held(b"", _tag(path.lstat()))

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """As the protocol says."""
        return create_atomic(self.root / key, data)

    def swap(self, key: str, data: bytes, tag: str) -> bool:
        """As the protocol says; one that another process is about to replace is waited for."""
        path = self.root / key
        with _locked(path):
            try:
                if _tag(path.lstat()) != tag:
                    return False
            except FileNotFoundError:
                return False
            write_atomic(path, data)
            return True

    def put(self, key: str, data: bytes) -> None:
        """As the protocol says."""
        write_atomic(self.root / key, data)

    def keep(self, key: str, file: Path) -> None:
        """The file itself is moved."""
        path = self.root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        file.replace(path)

    def remove(self, key: str) -> None:
        """As the protocol says."""
        (self.root / key).unlink(missing_ok=True)

    def remove_below(self, prefix: str) -> None:
        """The folder goes, too."""
        folder = self.root / prefix
        if folder.exists():
            shutil.rmtree(folder)

    def range(self, key: str, start: int, end: int) -> bytes:
        """As the protocol says."""
        with _opened(self.root / key) as file:
            file.seek(start)
            return file.read(end - start)

    def list(self, prefix: str) -> Iterator[Listed]:
        """Plain files of that folder alone, without those that are being written."""
        try:
            entries = list(os.scandir(self.root / prefix))
        except FileNotFoundError:
            return
        for each in entries:
            if not each.name.startswith(".") and (found := _stat(each)) is not None:
                modified = datetime.fromtimestamp(found.st_mtime, UTC)
                yield Listed(f"{prefix}{each.name}", found.st_size, _tag(found), modified)

    def presigned(self, key: str, seconds: float) -> None:
        """A folder gives nobody anything."""
        return


def _opened(path: Path) -> BinaryIO:
    """A plain file; OSError for anything else, a link among them."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    file = os.fdopen(handle, "rb") if stat.S_ISREG(os.fstat(handle).st_mode) else None
    if file is None:
        os.close(handle)
        raise OSError(errno.EINVAL, "it is no file")
    return file


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Alone at the file that is there; what is no file of ours is locked by nobody."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            fcntl.flock(stack.enter_context(_opened(path)), fcntl.LOCK_EX)
        yield


def _tag(found: os.stat_result) -> str:
    return f"{found.st_mtime_ns}-{found.st_size}-{found.st_ino}"


def _stat(entry: os.DirEntry[str]) -> os.stat_result | None:
    try:
        found = entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None
    return found if stat.S_ISREG(found.st_mode) else None
