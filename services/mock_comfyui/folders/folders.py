"""What `/view` serves: a file is there once its node saves it, whole only when it is written."""

import posixpath
import re
from collections import OrderedDict

from services.mock_core.ledger.files import FileStore, StoredFile
from services.mock_core.ledger.generation import Generation
from services.mock_core.lib.clock import Clock

FOLDERS = ("output", "temp", "input")
# In how many parts a file is written that takes its time; the first has no byte.
_PARTS = 8
_NUMBERED = re.compile(r"(.+)_(\d{1,9})_.*", re.DOTALL)
_REMEMBERED = 100_000


def key_of(filename: str, subfolder: str, folder: str) -> str:
    """Where the file store has what `/view` asks for."""
    path = f"{subfolder}/{filename}" if subfolder else filename
    return path if folder == "output" else f"{folder}:{path}"


class Folders:
    """Numbers go on where the highest one on disk ends; those of `temp` end with the server."""

    def __init__(self, files: FileStore, clock: Clock) -> None:
        self._files = files
        self._clock = clock
        self._highest: OrderedDict[str, int] = OrderedDict()
        self.wipe_temp()
        for key in files.names():
            self._note(key)

    def get(self, key: str) -> StoredFile | None:
        return self._files.get(key)

    def annotated(self, name: str, folder: str = "input") -> str:
        """The key of `sub/x.png`, or of `x.png [output]`, which names the folder itself."""
        for other in FOLDERS:
            if name.endswith(f" [{other}]"):
                name, folder = name.removesuffix(f" [{other}]"), other
        subfolder, filename = posixpath.split(posixpath.normpath(name))
        return key_of(filename, subfolder, folder)

    def pictures(self) -> list[str]:
        """What is in the input folder itself."""
        keys = (key for key in self._files.names() if key.startswith("input:") and "/" not in key)
        return sorted(key.removeprefix("input:") for key in keys)

    def next_number(self, subfolder: str, stem: str, folder: str) -> int:
        return self._highest.get(key_of(stem, subfolder, folder), 0) + 1

    def put(
        self, key: str, body: bytes, media_type: str, generation: Generation | None = None
    ) -> None:
        self._files.put(key, StoredFile(body, media_type, self._clock.now(), generation))
        self._note(key)

    async def write(
        self, key: str, body: bytes, media_type: str, generation: Generation, *, seconds: float
    ) -> None:
        """Put it there over so many nominal seconds; what breaks off leaves a part of it."""
        for part in range(_PARTS if seconds else 0):
            self.put(key, body[: len(body) * part // _PARTS], media_type, generation)
            await self._clock.sleep(seconds / _PARTS)
        self.put(key, body, media_type, generation)

    def wipe_temp(self) -> None:
        """What a start of the server does."""
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
