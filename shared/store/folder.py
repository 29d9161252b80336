"""The store of one machine: each key is a file below a folder.

Nothing is locked: of two that replace a file at the very same moment both may be told that they
have. Whoever writes records there is one run of one job, or repairs what that has left behind.
"""

import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from shared.files import write_atomic
from shared.store.protocol import Held, Listed


class Folder:
    """Files below `root`."""

    local = True

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, key: str) -> Path:
        """As the protocol says."""
        return self.root / key

    def read(self, key: str) -> Held | None:
        """As the protocol says; what can't be read is as good as damaged."""
        path = self.root / key
        try:
            with path.open("rb") as file:
                return Held(file.read(), _tag(os.fstat(file.fileno())))
        except FileNotFoundError:
            return None
        except OSError:
            return Held(b"", _tag(path.stat()))

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """As the protocol says."""
        path = self.root / key
        if path.exists():
            return False
        write_atomic(path, data)
        return True

    def swap(self, key: str, data: bytes, tag: str) -> bool:
        """As the protocol says."""
        path = self.root / key
        try:
            if _tag(path.stat()) != tag:
                return False
        except FileNotFoundError:
            return False
        write_atomic(path, data)
        return True

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
        with (self.root / key).open("rb") as file:
            file.seek(start)
            return file.read(end - start)

    def list(self, prefix: str) -> Iterator[Listed]:
        """Files of that folder alone, without those that are being written."""
        try:
            found = list(os.scandir(self.root / prefix))
        except FileNotFoundError:
            return
        for each in found:
            if not each.name.startswith(".") and (stat := _stat(each)) is not None:
                modified = datetime.fromtimestamp(stat.st_mtime, UTC)
                yield Listed(f"{prefix}{each.name}", stat.st_size, _tag(stat), modified)

    def presigned(self, key: str, seconds: float) -> None:
        """A folder gives nobody anything."""
        return


def _tag(stat: os.stat_result) -> str:
    return f"{stat.st_mtime_ns}-{stat.st_size}-{stat.st_ino}"


def _stat(entry: os.DirEntry[str]) -> os.stat_result | None:
    try:
        return entry.stat()
    except FileNotFoundError:
        return None
