"""Finished files in memory, bounded: what was fetched already goes first, then the oldest."""

from collections import OrderedDict
from dataclasses import dataclass
from hashlib import sha256
from mimetypes import guess_type

from services.mock_core.ledger.disk import Disk
from services.mock_core.ledger.generation import Generation
from services.mock_core.ledger.shown import shown


@dataclass(slots=True, eq=False)
class StoredFile:
    body: bytes
    media_type: str
    made_at: float
    generation: Generation | None = None


class FileStore:
    """`disk` keeps what a process that is started again would not have in memory."""

    def __init__(self, max_bytes: int, disk: Disk | None = None) -> None:
        self._max_bytes = max_bytes
        self._disk = disk
        self._fresh: OrderedDict[str, StoredFile] = OrderedDict()
        self._fetched: OrderedDict[str, StoredFile] = OrderedDict()
        self.size = 0

    def put(self, name: str, file: StoredFile) -> None:
        if file.generation is not None:
            file.generation.sha256 = sha256(file.body).hexdigest()
            file.generation.shows = shown(file.body)
        if self._disk is not None:
            self._disk.put_file(name, file.body)
        self._keep(name, file)

    def _keep(self, name: str, file: StoredFile) -> None:
        self._drop(name)
        self._fresh[name] = file
        self.size += len(file.body)
        while self.size > self._max_bytes and len(self._fresh) + len(self._fetched) > 1:
            self._drop(next(iter(self._fetched or self._fresh)))

    def get(self, name: str) -> StoredFile | None:
        return self._fresh.get(name) or self._fetched.get(name) or self._from_disk(name)

    def names(self) -> list[str]:
        """Every file that is there, in memory or on disk."""
        on_disk = self._disk.file_names() if self._disk is not None else []
        return [*dict.fromkeys([*self._fresh, *self._fetched, *on_disk])]

    def remove(self, name: str) -> None:
        """Forget a file, on disk too."""
        self._drop(name)
        if self._disk is not None:
            self._disk.remove_file(name)

    def _from_disk(self, name: str) -> StoredFile | None:
        body = self._disk.get_file(name) if self._disk is not None else None
        if body is None:
            return None
        file = StoredFile(body, guess_type(name)[0] or "application/octet-stream", 0.0)
        self._keep(name, file)
        return file

    def another(self, name: str) -> bytes | None:
        """The body of the newest other file of the same kind."""
        ending = name.rpartition(".")[2]
        for table in (self._fresh, self._fetched):
            for key in reversed(table):
                if key != name and key.endswith(ending):
                    return table[key].body
        return None

    def note_fetch(self, name: str) -> None:
        file = self._fresh.pop(name, None) or self._fetched.pop(name, None)
        if file is not None:
            self._fetched[name] = file

    def clear(self) -> None:
        self._fresh.clear()
        self._fetched.clear()
        self.size = 0

    def _drop(self, name: str) -> None:
        file = self._fresh.pop(name, None) or self._fetched.pop(name, None)
        if file is not None:
            self.size -= len(file.body)
