"""Make `.venv` match a hashed lock, then run the stack script in it; needs nothing installed."""

import fcntl
import hashlib
import os
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

# They import nothing but the standard library.
from compose.stack.output import INTERRUPTED, StackError, complain, say  # noqa: E402
from compose.stack.subprocesses import must  # noqa: E402

FOLDER = ROOT / ".venv"
PYTHON = FOLDER / "bin" / "python"
STAMP = FOLDER / "stamp"
LOG = FOLDER / "install.log"
# Commands that use the tools of the development lock, which includes all of `local`.
DEVELOPMENT = {
    *("test", "check", "lock", "chaos", "simulate", "mutants", "pictures", "prove", "wheel"),
    *("example-exclusive", "example-speech"),
}
VERSION = ".".join(map(str, sys.version_info[:2]))


def main(arguments: list[str]) -> None:
    """Become `python -m compose.stack` with these arguments."""
    lock = "dev" if {*arguments[:1]} & DEVELOPMENT else "local"
    # One command at a time; the kernel releases the lock in any case.
    handle = os.open(ROOT, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    if not _holds(lock):
        _install(lock)
    os.close(handle)
    os.chdir(ROOT)
    # Unbuffered: what a closed stream refuses fails as it is written, and not again as Python ends.
    os.execv(PYTHON, [str(PYTHON), "-u", "-m", "compose.stack", *arguments])  # noqa: S606


def _holds(lock: str) -> bool:
    found = STAMP.read_text(encoding="utf-8") if STAMP.is_file() else ""
    return os.access(PYTHON, os.X_OK) and found in {_stamp(lock), _stamp("dev")}


def _stamp(lock: str) -> str:
    text = (ROOT / "requirements" / f"{lock}.txt").read_bytes()
    return " ".join((lock, VERSION, hashlib.sha256(text).hexdigest()))


def _install(lock: str) -> None:
    if not (find_spec("ensurepip") and find_spec("venv")):
        raise StackError(
            f"{sys.executable} has no venv module: apt-get install python3-venv"
            " (or name another Python with PYTHON=…)"
        )
    say("installing the Python environment in .venv (about half a minute) …")
    if not (os.access(PYTHON, os.X_OK) and (FOLDER / "lib" / f"python{VERSION}").is_dir()):
        shutil.rmtree(FOLDER, ignore_errors=True)
        FOLDER.mkdir()
        must([sys.executable, "-m", "venv", str(FOLDER)], doing="making .venv", log=LOG)
    STAMP.unlink(missing_ok=True)
    # No code of a package runs during its installation.
    kinds = ("--only-binary", ":all:", "--require-hashes")
    pip = (str(PYTHON), "-m", "pip", "install", "--disable-pip-version-check", *kinds)
    packages = ("-r", str(ROOT / "requirements" / f"{lock}.txt"))
    must([*pip, *packages], doing="installing packages", log=LOG)
    STAMP.write_text(_stamp(lock), encoding="utf-8")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except StackError as error:
        complain(str(error))
        raise SystemExit(error.status) from None
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None
