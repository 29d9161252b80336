"""The virtual environment in `.venv`; it always matches a hashed lock."""

import hashlib
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from compose.stack.errors import StackError
from compose.stack.machine.lock import locked
from compose.stack.output import say
from compose.stack.subprocesses import capture, must

# A larger lock that holds everything of a smaller one, in the same versions.
_HOLDS = {"local": ("local", "dev"), "dev": ("dev",)}


@dataclass(frozen=True)
class Venv:
    """The environment of one clone."""

    root: Path

    @property
    def folder(self) -> Path:
        """Where it lies."""
        return self.root / ".venv"

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.program("python")

    def program(self, name: str) -> Path:
        """A program of the environment."""
        return self.folder / "bin" / name

    def need(self, lock: str) -> None:
        """See to it that everything of a lock is installed; nothing is done where it is."""
        with locked(self.root):
            if self._stamp() not in {self._wanted(name) for name in _HOLDS[lock]}:
                self._install(lock)

    def _wanted(self, lock: str) -> str:
        text = (self.root / "requirements" / f"{lock}.txt").read_bytes()
        version = ".".join(map(str, sys.version_info[:2]))
        return f"{lock} {version} {hashlib.sha256(text).hexdigest()}"

    @property
    def _stamp_file(self) -> Path:
        return self.folder / "stamp"

    def _stamp(self) -> str:
        usable = self._stamp_file.is_file() and capture([str(self.python), "-c", ""]).good
        return self._stamp_file.read_text(encoding="utf-8") if usable else ""

    def _install(self, lock: str) -> None:
        if not capture([sys.executable, "-c", "import ensurepip, venv"]).good:
            raise StackError(
                f"{sys.executable} has no venv module: apt-get install python3-venv"
                " (or name another Python with PYTHON=…)"
            )
        say("installing the Python environment in .venv (about half a minute) …")
        log = self.folder / "install.log"
        if not capture([str(self.python), "-c", ""]).good or not self._same_version():
            shutil.rmtree(self.folder, ignore_errors=True)
            must([sys.executable, "-m", "venv", str(self.folder)], doing="making .venv", log=log)
        self._stamp_file.unlink(missing_ok=True)
        file = self.root / "requirements" / f"{lock}.txt"
        pip = [str(self.python), "-m", "pip", "install", "--disable-pip-version-check"]
        # Nothing of a package is run while it is installed.
        kinds = ("--only-binary", ":all:", "--require-hashes")
        must([*pip, *kinds, "-r", str(file)], doing="installing packages", log=log)
        self._stamp_file.write_text(self._wanted(lock), encoding="utf-8")

    def _same_version(self) -> bool:
        version = f"import sys; sys.exit(sys.version_info[:2] != {sys.version_info[:2]!r})"
        return capture([str(self.python), "-c", version]).good
