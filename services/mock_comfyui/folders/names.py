"""What a file is called that a graph saves: as the real server makes it of a prefix."""

import posixpath
import time
from dataclasses import dataclass

# The longest name that a file system takes, in bytes.
_LONGEST = 255
_ROOT = "/opt/ComfyUI/output"


class BadName(Exception):
    """The server cannot save there; `kind` is the type of its exception."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Place:
    """Where the files of a prefix go."""

    subfolder: str
    stem: str

    def name(self, number: int, batch: int, ending: str) -> str:
        stem = self.stem.replace("%batch_num%", str(batch))
        name = f"{stem}_{number:05}_.{ending}"
        if len(name.encode("utf-8", "replace")) > _LONGEST:
            raise BadName("OSError", f"[Errno 36] File name too long: '{_ROOT}/{name}'")
        return name


def place_of(prefix: str, *, size: tuple[int, int]) -> Place:
    """The place, or BadName for one outside the output folder."""
    path = posixpath.normpath(_filled_in(prefix, size))
    subfolder, stem = posixpath.split(path)
    if subfolder.startswith("/") or subfolder.split("/")[0] == "..":
        raise BadName("Exception", _outside(subfolder))
    return Place(subfolder, stem)


def _filled_in(prefix: str, size: tuple[int, int]) -> str:
    if "%" not in prefix:
        return prefix
    now = time.localtime()
    for name, value in (
        ("width", str(size[0])),
        ("height", str(size[1])),
        ("year", str(now.tm_year)),
        ("month", f"{now.tm_mon:02}"),
        ("day", f"{now.tm_mday:02}"),
        ("hour", f"{now.tm_hour:02}"),
        ("minute", f"{now.tm_min:02}"),
        ("second", f"{now.tm_sec:02}"),
    ):
        prefix = prefix.replace(f"%{name}%", value)
    return prefix


def _outside(subfolder: str) -> str:
    full = posixpath.normpath(posixpath.join(_ROOT, subfolder))
    common = posixpath.commonpath((_ROOT, full))
    return (
        "**** ERROR: Saving image outside the output folder is not allowed."
        f"\n full_output_folder: {full}\n         output_dir: {_ROOT}"
        f"\n         commonpath: {common}"
    )
