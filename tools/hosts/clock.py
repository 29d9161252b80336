"""A clock of a host's own, by libfaketime: no namespace has one for the time of day."""

import os
from pathlib import Path

import pytest

FOLDERS = ("/usr/lib/*/faketime", "/usr/lib/faketime", "/usr/local/lib/faketime")
LIBRARY = "libfaketime.so.1"


def faketime() -> Path:
    """The library: FAKETIME_LIBRARY names it, or it is where Debian's package has it."""
    if given := os.environ.get("FAKETIME_LIBRARY"):
        return Path(given)
    for folder in FOLDERS:
        for path in Path("/").glob(f"{folder.lstrip('/')}/{LIBRARY}"):
            return path
    pytest.skip("no libfaketime: apt-get install faketime, or name it with FAKETIME_LIBRARY")


def wrap(environment: Path, real: Path, *, seconds: float, library: Path) -> None:
    """Make a virtual environment whose Python has another time of day, and else are `real`'s."""
    (environment / "bin").mkdir(parents=True)
    for name in ("stamp", "pyvenv.cfg"):
        (environment / name).write_bytes((real / name).read_bytes())
    (environment / "lib").symlink_to(real / "lib")
    for program in (real / "bin").iterdir():
        (environment / "bin" / program.name).symlink_to(program)
    script = environment / "bin" / "python"
    script.unlink()
    script.write_text(
        "#!/bin/sh\n"
        f"export LD_PRELOAD='{library}' FAKETIME='{seconds:+g}' DONT_FAKE_MONOTONIC=1\n"
        f"exec '{real}/bin/python' \"$@\"\n",
        encoding="utf-8",
    )
    script.chmod(0o700)
