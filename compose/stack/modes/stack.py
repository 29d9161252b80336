"""What a mode can do with the stack, and what is known of one running part; the same in both."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from compose.stack.services import Service
from compose.stack.subprocesses import Outcome

# What services write, each in its own folder below DATA_DIR.
SERVICE_FOLDERS = ("state", "assets", "callbacks", "temporal", "mocks")


@dataclass(frozen=True)
class Unit:
    """One container or process: whether it is ready, and a word on its state and its age."""

    service: str
    name: str
    state: str
    ready: bool
    detail: str


class HasUnits(Protocol):
    """Whoever can list the parts of the stack."""

    def units(self) -> list[Unit]:
        """All that there is of it."""


class Askable(Protocol):
    """Whoever can start the server alone, and run a program of the new code."""

    def prepare(self) -> None:
        """Have the packages or images that all is run from, without the stack."""

    def serve(self) -> None:
        """Start the Temporal server alone and wait for it."""

    def ask(self, service: Service, *program: str, timeout: float) -> Outcome:
        """Run a module, with its arguments, of the code that a service would be started from.

        After `prepare`.
        """


class Checkable(Protocol):
    """Whoever can have services look at their own settings."""

    def prepare(self) -> None:
        """Have the packages or images that all is run from, without the stack."""

    def checked(self, services: Sequence[Service], *, seconds: int) -> list[Outcome]:
        """What each says with `--check`, by the code and settings that it would be started with.

        After `prepare`; each has so many seconds.
        """


class Stack(HasUnits, Askable, Checkable, Protocol):
    """The stack in one mode; `python` and `reports` are spelt as the load test sees them."""

    @property
    def python(self) -> str:
        """The interpreter of the load test."""

    @property
    def reports(self) -> str:
        """The folder of its reports."""

    def up(self) -> None:
        """Start what isn't running, change what differs from the settings."""

    def down(self) -> None:
        """Stop all of it."""

    def logs(self, names: list[str], *, lines: int, follow: bool) -> int:
        """Print the last lines of services, and what comes."""

    def loadtest(self, arguments: list[str], env: dict[str, str]) -> int:
        """Run the load test against it."""

    def within(self, service: Service, module: str) -> int:
        """Run another program beside a service, as that service would."""
