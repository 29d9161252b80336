"""The output, temp and input folders: the keys of their files in the file store, and numbers."""

import posixpath
import re

from services.mock_core.files import FileStore

FOLDERS = ("output", "temp", "input")
# The longest name that a file system takes, in bytes.
LONGEST = 255
_NUMBER = re.compile(r"_(\d{1,9})[_.].*", re.DOTALL)


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


def load(files: FileStore, name: str) -> bytes | None:
    """Return the bytes of `sub/x.png` in the input folder, or in the folder that the name gives."""
    path, folder = named(name, "input")
    subfolder, filename = posixpath.split(posixpath.normpath(path))
    file = files.get(key_of(filename, subfolder, folder))
    return None if file is None else file.body


def pictures(files: FileStore) -> list[str]:
    """Return the pictures of the input folder itself."""
    names = (key.removeprefix("input:") for key in files.names() if key.startswith("input:"))
    return sorted(name for name in names if "/" not in name)


def next_number(files: FileStore, subfolder: str, stem: str, folder: str) -> int:
    """Return one more than the highest number of a file of this stem."""
    start = key_of(stem, subfolder, folder)
    ends = (key.removeprefix(start) for key in files.names() if key.startswith(start))
    return max((int(found[1]) for end in ends if (found := _NUMBER.fullmatch(end))), default=0) + 1


def wipe_temp(files: FileStore) -> None:
    """Wipe the temp folder, as a start of the server does."""
    for key in files.names():
        if key.startswith("temp:"):
            files.remove(key)
