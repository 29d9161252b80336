"""What the commands say, and how each of them ends where it can't do its work."""

import os
from typing import Any, NoReturn

import typer
from rich.console import Console
from typer.core import TyperGroup

from loadtest.books.raw import Damaged
from loadtest.run.plan import PlanError
from loadtest.run.preflight import NotReachable
from shared.texts import spoken

PASSED, FAILED, USAGE, NOT_REACHABLE, INTERRUPTED = 0, 1, 2, 3, 130
# In a CI there is none, whatever the output looks like.
_TERMINAL = False if os.environ.get("CI") else None
console = Console(force_terminal=_TERMINAL)
errors = Console(stderr=True, force_terminal=_TERMINAL)


class Commands(TyperGroup):
    """What none of them can do is told here, whichever it was asked of."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except NotReachable as error:
            fail([f"not reachable: {problem}" for problem in error.problems], NOT_REACHABLE)
        except PlanError as error:
            fail(error.problems, USAGE)
        except Damaged as error:
            fail([str(error)], USAGE)
        except OSError as error:
            if error.filename is None:
                raise
            fail([f"{error.filename2 or error.filename}: {error.strerror}"], USAGE)


def say(text: str) -> None:
    console.print(spoken(text), markup=False, highlight=False, soft_wrap=True)


def complain(text: str) -> None:
    errors.print(spoken(text), style="red", markup=False, highlight=False, soft_wrap=True)


def fail(problems: list[str], status: int) -> NoReturn:
    for problem in problems:
        complain(problem)
    raise typer.Exit(status)
