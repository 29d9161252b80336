"""A project folder of its own for each test, so that none sees the real `.env`; and a stack that
starts nothing."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from compose.stack.local import Local
from compose.stack.services import Service, Unit
from compose.stack.settings import Settings, load
from compose.stack.subprocesses import Outcome

ROOT = Path(__file__).resolve().parents[3]
Load = Callable[..., Settings]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with nothing in it but the list of settings."""
    (tmp_path / ".env.example").write_bytes((ROOT / ".env.example").read_bytes())
    return tmp_path


@pytest.fixture
def settings(root: Path) -> Load:
    """Loads settings from the given environment alone."""
    return lambda **environ: load(root, environ)


class Fake(Local):
    """Starts nothing: answers for the programs that it is asked to run, by the last part of their
    names, and notes them."""

    python = "a clone/py"
    reports = "there"

    def __init__(
        self,
        answers: dict[str, Outcome] | None = None,
        *,
        running: Sequence[Unit] = (),
        ready: bool = False,
    ) -> None:
        self.answers = answers or {}
        self.running = [*running]
        self.ready = ready
        self.asked: list[tuple[str, ...]] = []

    def prepare(self) -> Path:
        self.ready = True
        return Path()

    def serve(self) -> None:
        self.asked.append(("serve",))

    def ask(self, service: Service, *program: str, timeout: float) -> Outcome:
        assert self.ready
        assert program[0].startswith(service.module)
        self.asked.append(program)
        return self.answers[program[0].removeprefix("services.")]

    def units(self) -> list[Unit]:
        return self.running
