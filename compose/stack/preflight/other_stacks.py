"""Two stacks in one namespace would share slot, queues and jobs: the second one isn't started."""

import json
from typing import Any

from compose.stack.errors import UNREACHABLE, USAGE, VERDICT, StackError
from compose.stack.modes.stack import Askable
from compose.stack.output import say
from compose.stack.services import SEMAPHORE
from compose.stack.settings import saved
from compose.stack.settings.load import Settings
from compose.stack.settings.secrets import keep_stack_name, stack_name
from compose.stack.subprocesses import Outcome

PROGRAM = f"{SEMAPHORE.module}.owner"
PATIENCE = 60.0
_NOTE = "alone"
# What tells one namespace from another.
_NAMESPACE = ("TEMPORAL_ADDRESS", "TEMPORAL_NAMESPACE")


def check(settings: Settings, stack: Askable, *, running: bool, force: bool = False) -> None:
    """Return where no other stack's semaphore runs; StackError, in one line, where one does.

    Left out where it can't have changed: with a server of our own, or while the stack runs. `force`
    goes on where the name can't be read or asked for.
    """
    namespace = json.dumps(
        [stack_name(settings), *(settings.values.get(name) for name in _NAMESPACE)]
    )
    known = saved.checked(settings.run_dir, _NOTE) == namespace
    if not (known and (running or settings.own_temporal)) and not _checked(
        settings, stack, running=running, force=force
    ):
        return
    keep_stack_name(settings)
    saved.note_checked(settings.run_dir, _NOTE, namespace)


def _checked(settings: Settings, stack: Askable, *, running: bool, force: bool) -> bool:
    """Whether the server answered, and nobody else is there, nor can be."""
    if settings.own_temporal and not running:
        if not (settings.data_dir / "temporal" / "temporal.db").exists():
            return True
        stack.serve()
    stack.prepare()
    outcome = stack.ask(SEMAPHORE, PROGRAM, timeout=PATIENCE)
    if outcome.status == UNREACHABLE:
        say("Temporal does not answer: whether another stack uses it was not asked")
        return False
    try:
        _refuse_other(settings, _answer(outcome))
    except _Undecided as error:
        if not force:
            raise
        say(f"{error}")
    return True


class _Undecided(StackError):
    """Which stack the running semaphore is of can't be told."""

    def __init__(self, reason: str) -> None:
        super().__init__(
            f"can't tell whether another stack uses this namespace ({reason}): nothing was"
            " started; `make up FORCE=1` goes on all the same",
            VERDICT,
        )


def _refuse_other(settings: Settings, answer: dict[str, Any]) -> None:
    if reason := answer.get("unreadable"):
        raise _Undecided(reason)
    other = answer["stack"]
    if other not in ("", stack_name(settings)):
        raise StackError(
            f"another stack, {other}, uses Temporal's namespace {answer['namespace']}: nothing was"
            " started; take one of your own with TEMPORAL_NAMESPACE=…, or, if it is this very"
            f" stack, say `make up STACK={other}`",
            USAGE,
        )


def _answer(outcome: Outcome) -> dict[str, Any]:
    """What the program printed last."""
    if (found := outcome.found) is None:
        raise _Undecided(outcome.last_line)
    return found
