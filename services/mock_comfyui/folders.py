"""The output, temp and input folders: names, numbers, and files that are being written."""

import posixpath
import re
from collections import OrderedDict

from services.mock_core.clock import Clock
from services.mock_core.files import FileStore, StoredFile
from services.mock_core.ledger import Generation

FOLDERS = ("output", "temp", "input")
# The number of parts in which a slow file is written; the first has no byte.
_PARTS = 8
_NUMBERED = re.compile(r"(.+)_(\d{1,9})[_.].*", re.DOTALL)
_REMEMBERED = 100_000
# The longest name that a file system takes, in bytes.
LONGEST = 255


def key_of(filename: str, subfolder: str, folder: str) -> str:
    """Return the key of a file of `/view` in the file store."""
    path = f"{subfolder}/{filename}" if subfolder else filename
    return path if folder == "output" else f"{folder}:{path}"


def named(name: str, folder: str) -> tuple[str, str]:
    """Return name and folder of `x.png`, or of `x.png [output]`, which names its folder."""
    for other in FOLDERS:
        if name.endswith(f" [{other}]"):
            return name.removesuffix(f" [{other}]"), other
    return name, folder


class Folders:
    """The folders. File numbers continue after the highest on disk; those of `temp` restart with
    the server."""

    def __init__(self, files: FileStore, clock: Clock) -> None:
        self._files = files
        self._clock = clock
        self._highest: OrderedDict[str, int] = OrderedDict()
        self.wipe_temp()
        for key in files.names():
            self._note(key)

    def get(self, key: str) -> StoredFile | None:
        return self._files.get(key)

    def load(self, name: str) -> bytes | None:
        """Return the bytes of `sub/x.png` in the input folder, or in the folder that the name
        gives."""
        path, folder = named(name, "input")
        subfolder, filename = posixpath.split(posixpath.normpath(path))
        file = self.get(key_of(filename, subfolder, folder))
        return None if file is None else file.body

    def pictures(self) -> list[str]:
        """Return the pictures of the input folder itself."""
        keys = (key for key in self._files.names() if key.startswith("input:") and "/" not in key)
        return sorted(key.removeprefix("input:") for key in keys)

    def next_number(self, subfolder: str, stem: str, folder: str) -> int:
        return self._highest.get(key_of(stem, subfolder, folder), 0) + 1

    def put(
        self, key: str, body: bytes, media_type: str, generation: Generation | None = None
    ) -> None:
        self._files.put(key, body, media_type, generation)
        self._note(key)

    async def write(
        self, key: str, body: bytes, media_type: str, generation: Generation, *, seconds: float
    ) -> None:
        """Write a file over this many nominal seconds; an abort leaves a part of it."""
        for part in range(_PARTS if seconds else 0):
            self.put(key, body[: len(body) * part // _PARTS], media_type, generation)
            await self._clock.sleep(seconds / _PARTS)
        self.put(key, body, media_type, generation)

    def wipe_temp(self) -> None:
        """Wipe the temp folder, as a start of the server does."""
        for key in self._files.names():
            if key.startswith("temp:"):
                self._files.remove(key)
        for key in [key for key in self._highest if key.startswith("temp:")]:
            del self._highest[key]

    def forget_all(self) -> None:
        self._highest.clear()

    def _note(self, key: str) -> None:
        folder, name = posixpath.split(key)
        found = _NUMBERED.fullmatch(name)
        if found is None:
            return
        stem = posixpath.join(folder, found[1])
        self._highest[stem] = max(self._highest.get(stem, 0), int(found[2]))
        self._highest.move_to_end(stem)
        if len(self._highest) > _REMEMBERED:
            self._highest.popitem(last=False)
