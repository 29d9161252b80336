"""The one error of the stack script; it always carries the exit status to end with."""

from collections.abc import Callable
from typing import Any, TypeVar

from shared.texts import spoken

VERDICT = 1
USAGE = 2
UNREACHABLE = 3
INTERRUPTED = 130
A = TypeVar("A")
B = TypeVar("B")


class StackError(Exception):
    """One clear line for the user, and the status that the command ends with."""

    def __init__(self, message: str, status: int = USAGE) -> None:
        super().__init__(message)
        self.status = status


def both(one: Callable[[], A], other: Callable[[], B]) -> tuple[A, B]:
    """What the two make of what was given; StackError with what is wrong with either."""
    made: list[Any] = []
    wrong: list[str] = []
    for step in (one, other):
        try:
            made.append(step())
        except StackError as error:
            # Each by itself, or the words of one could be those of the next.
            wrong.append(spoken(str(error)))
    if wrong:
        raise StackError("; ".join(dict.fromkeys(wrong)))
    return made[0], made[1]
