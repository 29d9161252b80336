"""What the user sees, in English or Chinese, and the one error of the stack script."""

import os
import shutil
import sys
import unicodedata
from collections.abc import Sequence
from contextlib import suppress
from typing import TextIO

from shared.texts import spoken

VERDICT, USAGE, UNREACHABLE, INTERRUPTED = 1, 2, 3, 130
# Beyond it a value is no more than begun.
LONGEST = 200
_STYLES = {"good": "32", "bad": "31", "warn": "33", "bold": "1", "dim": "2"}


class StackError(Exception):
    """One clear line for the user, and the status that the command ends with."""

    def __init__(self, message: str, status: int = USAGE) -> None:
        super().__init__(message)
        self.status = status


def reason_of(error: OSError) -> str:
    """What the system says; where files can't be copied, what it says of the first."""
    if isinstance(error, shutil.Error) and isinstance(error.args[0], list):
        return str(error.args[0][0][-1]).partition(":")[0]
    return error.strerror or str(error)


def colour_wanted(stream: TextIO | None = None) -> bool:
    """NO_COLOR, CI and a missing terminal each switch colour off; `stream` is by default that of
    the answers."""
    if os.environ.get("NO_COLOR") or os.environ.get("CI") or os.environ.get("TERM") == "dumb":
        return False
    return (stream or sys.stdout).isatty()


def padded(text: str, width: int) -> str:
    """`text` with blanks behind it up to a width, of which a Chinese character takes two."""
    return text + " " * (width - wide(text))


def wide(text: str) -> int:
    """The columns of a terminal that a text takes."""
    return len(text) + sum(unicodedata.east_asian_width(each) in "WF" for each in text)


def paint(text: str, style: str, stream: TextIO | None = None) -> str:
    """`text` in a style of `_STYLES` where the stream takes colour, unchanged elsewhere."""
    if not colour_wanted(stream):
        return spoken(text)
    return f"\x1b[{_STYLES[style]}m{spoken(text)}\x1b[0m"


def say(text: str = "") -> None:
    """A line of the answer."""
    sys.stdout.write(spoken(text) + "\n")
    sys.stdout.flush()


def complain(text: str, *, style: str = "") -> None:
    """A line about what is wrong, kept apart from answers; where nobody can hear it, none."""
    said = paint(text, style, sys.stderr) if style else spoken(text)
    with suppress(OSError):
        sys.stderr.write(said + "\n")
        sys.stderr.flush()


def shown(value: str) -> str:
    """What somebody has given, on one line: what can't be printed as its escape."""
    signs = (s if s.isprintable() else s.encode("unicode_escape").decode() for s in value)
    plain = "".join(signs)
    return plain if len(plain) <= LONGEST else f"{plain[:LONGEST]}…"


def agreed(question: str) -> bool:
    """Whether whoever sits at the terminal says yes; nobody, and any other word, is a no."""
    try:
        answer = input(f"{spoken(question)} [y/N] ")
    except EOFError:
        return False
    return answer.strip().lower() in ("y", "yes")


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows as left-aligned columns, two blanks between them, no trailing blanks."""
    said = [tuple(map(spoken, row)) for row in rows]
    widths = [max(map(wide, column)) for column in zip(*said, strict=True)]
    lines = (
        "  ".join(padded(cell, width) for cell, width in zip(row, widths, strict=True))
        for row in said
    )
    return "\n".join(line.rstrip() for line in lines)
