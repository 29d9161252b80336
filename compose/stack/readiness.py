"""What both modes can do, the state of one part, and the wait until all are ready."""

import time
from collections import Counter
from dataclasses import dataclass
from typing import Protocol

from compose.stack.asking import why_not
from compose.stack.output import UNREACHABLE, StackError, paint, say
from compose.stack.services import TEMPORAL, UI_PORT, WORKER, Service
from compose.stack.settings import Settings
from compose.stack.subprocesses import Outcome

# The folders of services below DATA_DIR.
SERVICE_FOLDERS = ("state", "assets", "callbacks", "temporal", "mocks")
PATIENCE = 90.0
POLL_SECONDS = 0.25


@dataclass(frozen=True)
class Unit:
    """A container or process: whether it is ready, its state and its age."""

    service: str
    name: str
    state: str
    ready: bool
    detail: str


class Stack(Protocol):
    """The stack in one mode; `python` and `reports` are as the load test sees them."""

    def units(self) -> list[Unit]:
        """Return all parts that exist."""

    def prepare(self) -> None:
        """Prepare the images or the code that everything is run from, without the stack."""

    def serve(self) -> None:
        """Start only the Temporal server and wait for it."""

    def ask(self, service: Service, *program: str, timeout: float) -> Outcome:
        """Run a module, with its arguments, from the code that a service would be started from.

        Call `prepare` first.
        """

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
        """Print the last lines of services, and follow."""

    def loadtest(self, arguments: list[str], env: dict[str, str]) -> int:
        """Run the load test against it."""


def probe(settings: Settings, service: str, *, group: int, index: int = 0) -> str | None:
    """Return why a process of the local mode, the leader of that group, is not ready, or None."""
    if service == TEMPORAL.name:
        return why_not(f"{settings.url(UI_PORT)}/healthz", group)
    port = next(item.port for item in settings.every if item.name == service)
    number = settings.ports[port] + (index if service == WORKER.name else 0)
    return why_not(f"http://{settings.reach(port)}:{number}/readyz", group)


def expected(settings: Settings) -> Counter[str]:
    """Return how many of each service there must be."""
    return Counter({s.name: settings.workers if s is WORKER else 1 for s in settings.parts})


def _missing(settings: Settings, units: list[Unit]) -> Counter[str]:
    """Return the services of which too few are ready."""
    return expected(settings) - Counter(unit.service for unit in units if unit.ready)


def all_ready(settings: Settings, units: list[Unit]) -> bool:
    """True if nothing is missing, and no more workers run than requested."""
    extra = Counter(unit.service for unit in units) - expected(settings)
    return not _missing(settings, units) and not extra


def wait(settings: Settings, stack: Stack) -> None:
    """Report each service as it becomes ready; give up, with reasons, after PATIENCE seconds."""
    began = time.monotonic()
    reported: set[str] = set()
    while True:
        units = stack.units()
        lacking = _missing(settings, units)
        for name in [each for each in expected(settings) if each not in {*lacking, *reported}]:
            reported.add(name)
            say(f"  {paint('ready', 'good')}  {name:<13} {time.monotonic() - began:5.1f} s")
        if not lacking:
            return
        if time.monotonic() - began > PATIENCE:
            details = {
                each.service: f"{each.state}, {each.detail}" for each in units if not each.ready
            }
            said = "; ".join(f"{name} ({details.get(name, 'not there')})" for name in lacking)
            raise StackError(
                f"not ready after {PATIENCE:.0f} s: {said}; see make logs S={next(iter(lacking))}",
                UNREACHABLE,
            )
        time.sleep(POLL_SECONDS)
