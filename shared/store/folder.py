"""The store of one machine: each key is a file below a folder.

A worker that stood still in the middle of a write may go on beside its successor. So writers lock
the file that they replace, and of two that replace it at the same moment only one succeeds. A
killed process loses its lock.

Only plain files in plain folders are opened, because a process that writes there could lead others
elsewhere by a link, or block them by a pipe.
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
# It is not there, or a part of its path is no folder.
MISSING = (FileNotFoundError, NotADirectoryError)


class Folder:
    """Files below `root`. Methods are documented in the protocol."""

    local = True

    def __init__(self, root: Path) -> None:
        self.root = root

    @contextlib.contextmanager
    def held(self, key: str, *, make: bool = False) -> Iterator[Path]:
        """Yield a path of the key that leads through an open handle of its folder.

        No folder on the way can be a link, or become one meanwhile: NotADirectoryError. The root
        and the folder right below it may be links, because operators move data to another disk that
        way. The path is valid for other processes as well, until the block ends.
        """
        *parts, name = key.split("/")
        top = self.root.joinpath(*parts[:1])
        if make:
            top.mkdir(parents=True, exist_ok=True)
        handle = os.open(top, os.O_RDONLY | os.O_DIRECTORY)
        try:
            for part in parts[1:]:
                if make:
                    with contextlib.suppress(FileExistsError):
                        os.mkdir(part, dir_fd=handle)
                flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
                outer, handle = handle, os.open(part, flags, dir_fd=handle)
                os.close(outer)
            yield Path(f"/proc/{os.getpid()}/fd/{handle}", name)
        finally:
            os.close(handle)

    def read(self, key: str) -> Held | None:
        """Treat an unreadable or too large file as damaged."""
        try:
            with self.held(key) as path:
                try:
                    with _opened(path) as file:
                        data = file.read(LARGEST + 1)
                        tag = _tag(os.fstat(file.fileno()))
                        return Held(data if len(data) <= LARGEST else b"", tag)
                except FileNotFoundError:
                    return None
                except OSError:
                    return Held(b"", _tag(path.lstat()))
        except MISSING:
            return None

    def put_if_absent(self, key: str, data: bytes) -> bool:
        with self.held(key, make=True) as path:
            return create_atomic(path, data)

    def swap(self, key: str, data: bytes, tag: str) -> bool:
        """Wait for another process that is replacing the same file."""
        try:
            with self.held(key) as path, _locked(path):
                if _tag(path.lstat()) != tag:
                    return False
                write_atomic(path, data)
                return True
        except MISSING:
            return False

    def put(self, key: str, data: bytes) -> None:
        with self.held(key, make=True) as path:
            write_atomic(path, data)

    def keep(self, key: str, file: Path) -> None:
        """Move the file itself."""
        with self.held(key, make=True) as path:
            file.replace(path)

    def remove(self, key: str) -> None:
        with contextlib.suppress(*MISSING), self.held(key) as path:
            path.unlink()

    def remove_below(self, prefix: str) -> None:
        """Remove the folder as well; of a link only the link."""
        with contextlib.suppress(*MISSING), self.held(prefix.removesuffix("/")) as path:
            path.unlink() if path.is_symlink() else shutil.rmtree(path)

    def range(self, key: str, start: int, end: int) -> bytes:
        with self.held(key) as path, _opened(path) as file:
            file.seek(start)
            return file.read(end - start)

    def list(self, prefix: str) -> Iterator[Listed]:
        """List plain files of that folder, without unfinished ones."""
        try:
            with self.held(prefix) as folder, os.scandir(folder) as entries:
                found = {each.name: _stat(each) for each in entries if each.name[0] != "."}
        except MISSING:
            return
        for name, file in found.items():
            if file is not None:
                modified = datetime.fromtimestamp(file.st_mtime, UTC)
                yield Listed(f"{prefix}{name}", file.st_size, _tag(file), modified)


def _opened(path: Path) -> BinaryIO:
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    file = os.fdopen(handle, "rb") if stat.S_ISREG(os.fstat(handle).st_mode) else None
    if file is None:
        os.close(handle)
        raise OSError(errno.EINVAL, "it is no file")
    return file


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
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
