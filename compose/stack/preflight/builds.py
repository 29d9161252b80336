"""Builds side by side: what Temporal knows of them; none loses its last workers unasked."""

from collections.abc import Iterable
from dataclasses import dataclass

from compose.stack.errors import UNREACHABLE, VERDICT, StackError
from compose.stack.modes.stack import Askable, Unit
from compose.stack.output import say
from compose.stack.services import WORKER
from compose.stack.settings import saved
from compose.stack.settings.builds import build
from compose.stack.settings.load import Settings

PROGRAM = f"{WORKER.module}.promote"
PATIENCE = 180.0
_NOTE = "build"


@dataclass(frozen=True)
class Build:
    """So many runs are open by it, and so many processes poll for it; no `build`: of all that name
    none."""

    service: str
    build: str
    current: bool
    open: int
    processes: int


@dataclass(frozen=True)
class Answer:
    """The services of whose wanted build nobody polls, how many jobs were moved, what there is."""

    missing: list[str]
    moved: int
    builds: list[Build]

    def workers_of(self, name: str) -> Build:
        """The workers' build of this name, also where Temporal knows none."""
        found = (each for each in self.builds if (each.service, each.build) == (WORKER.name, name))
        return next(found, Build(WORKER.name, name, current=False, open=0, processes=0))


def ask(stack: Askable, *words: str) -> Answer:
    """What the worker's program answers, after `prepare`; StackError where it doesn't."""
    outcome = stack.ask(WORKER, PROGRAM, *words, timeout=PATIENCE)
    if outcome.status == UNREACHABLE:
        raise StackError("Temporal does not answer: no build was asked for", UNREACHABLE)
    if (found := outcome.found) is None:
        raise StackError(f"the builds can't be asked for ({outcome.last_line})", VERDICT)
    return Answer(found["missing"], found["moved"], [Build(**each) for each in found["builds"]])


def noted(settings: Settings) -> str:
    """By which build the workers here were started last; empty for none."""
    return saved.checked(settings.run_dir, _NOTE)


def note(settings: Settings) -> None:
    """The workers here are of the present build from now on."""
    if WORKER in settings.parts and noted(settings) != (now := build(settings, WORKER.name)):
        saved.note_checked(settings.run_dir, _NOTE, now)


def check(settings: Settings, stack: Askable, before: Iterable[Unit]) -> None:
    """Return where no open job is left without workers by what is about to be replaced.

    StackError, in one line, where the last workers of their build run here. Where the whole stack
    runs here, its open jobs go on by the new build.
    """
    was = noted(settings)
    ours = sum(unit.service == WORKER.name for unit in before)
    if not (settings.roles and was and ours) or was == build(settings, WORKER.name):
        return
    stack.prepare()
    try:
        old = ask(stack).workers_of(was)
    except StackError as error:
        if error.status != UNREACHABLE:
            raise
        say(f"{error}")
        return
    if old.open and old.processes <= ours:
        raise StackError(
            f"{jobs(old.open)} with build {was}, whose last workers run here: nothing was replaced;"
            " `make down DRAIN=1` waits for them and stops, and the new build begins on another"
            " machine or beside this one; FORCE=1 goes on all the same, and `make promote MOVE=1`"
            " has them go on by the new build",
            VERDICT,
        )


def jobs(number: int) -> str:
    """So many of them, and what they do."""
    return "1 open job stays" if number == 1 else f"{number} open jobs stay"
