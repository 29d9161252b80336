"""The store of one machine: each key is a file below a folder.

A worker that stood still in the middle of a write may go on beside its successor. So writers lock
the file that they replace, and of two that replace it at the same moment only one succeeds. A
killed process loses its lock.

Only plain files are opened. A service that writes there could otherwise lead a reader elsewhere by
a link, or block it for ever by a pipe.
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

# The most that is read at once: a record fits into a Temporal payload many times over.
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
        """As the protocol says; an unreadable or too large file counts as damaged."""
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
        """As the protocol says; waits for another process that is replacing the same file."""
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
        """Move the file itself."""
        path = self.root / key
        path.parent.mkdir(parents=True, exist_ok=True)
        file.replace(path)

    def remove(self, key: str) -> None:
        """As the protocol says."""
        (self.root / key).unlink(missing_ok=True)

    def remove_below(self, prefix: str) -> None:
        """Remove the folder as well."""
        folder = self.root / prefix
        if folder.exists():
            shutil.rmtree(folder)

    def range(self, key: str, start: int, end: int) -> bytes:
        """As the protocol says."""
        with _opened(self.root / key) as file:
            file.seek(start)
            return file.read(end - start)

    def list(self, prefix: str) -> Iterator[Listed]:
        """List plain files of that folder, without unfinished ones."""
        try:
            entries = list(os.scandir(self.root / prefix))
        except FileNotFoundError:
            return
        for each in entries:
            if not each.name.startswith(".") and (found := _stat(each)) is not None:
                modified = datetime.fromtimestamp(found.st_mtime, UTC)
                yield Listed(f"{prefix}{each.name}", found.st_size, _tag(found), modified)

    def presigned(self, key: str, seconds: float) -> None:
        """A folder store has no presigned links."""
        return


def _opened(path: Path) -> BinaryIO:
    """Open a plain file; raise OSError for anything else, including a link."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    file = os.fdopen(handle, "rb") if stat.S_ISREG(os.fstat(handle).st_mode) else None
    if file is None:
        os.close(handle)
        raise OSError(errno.EINVAL, "it is no file")
    return file


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Lock the present file exclusively; yield None for anything but a plain file."""
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
