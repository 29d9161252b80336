"""A project folder of its own for each test, so that none sees the real `.env`; and a stack that
starts nothing."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from compose.stack.output import VERDICT, StackError
from compose.stack.readiness import Unit
from compose.stack.services import Service
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


@dataclass
class Fake:
    """Takes the place of a stack in either mode: answers for the programs that it is asked to run,
    by the last part of their names, and notes them."""

    answers: dict[str, Outcome] = field(default_factory=dict)
    running: list[Unit] = field(default_factory=list)
    asked: list[tuple[str, ...]] = field(default_factory=list)
    ready: bool = False
    python: str = "py"
    reports: str = "there"

    def prepare(self) -> None:
        self.ready = True

    def serve(self) -> None:
        self.asked.append(("serve",))

    def ask(self, service: Service, *program: str, timeout: float) -> Outcome:
        assert self.ready
        assert program[0].startswith(service.module)
        self.asked.append(program)
        return self.answers[program[0].removeprefix("services.")]

    def units(self) -> list[Unit]:
        return self.running

    def up(self) -> None:
        raise StackError("nothing is started here", VERDICT)

    def down(self) -> None:
        raise StackError("nothing is stopped here", VERDICT)

    def logs(self, names: list[str], *, lines: int, follow: bool) -> int:
        raise StackError("there are no logs", VERDICT)

    def loadtest(self, arguments: list[str], env: dict[str, str]) -> int:
        raise StackError("nothing is tested here", VERDICT)

    def within(self, service: Service, module: str) -> int:
        raise StackError("nothing is run here", VERDICT)
