"""The user's output, in English or Chinese, and the one error of the stack script."""

import os
import shutil
import sys
import unicodedata
from collections.abc import Sequence
from contextlib import suppress
from typing import TextIO

from shared.texts import localized

VERDICT, USAGE, UNREACHABLE, INTERRUPTED = 1, 2, 3, 130
# A longer value is cut.
LONGEST = 200
_STYLES = {"good": "32", "bad": "31", "warn": "33", "bold": "1", "dim": "2"}


class StackError(Exception):
    """One clear line for the user, and the exit status of the command."""

    def __init__(self, message: str, status: int = USAGE) -> None:
        super().__init__(message)
        self.status = status


def reason_of(error: OSError) -> str:
    """Return the system's reason; for a failed copy of files, the first one."""
    if isinstance(error, shutil.Error) and isinstance(error.args[0], list):
        return str(error.args[0][0][-1]).partition(":")[0]
    return error.strerror or str(error)


def colour_wanted(stream: TextIO | None = None) -> bool:
    """True if the stream takes colour: NO_COLOR, CI and a missing terminal each switch it off."""
    if os.environ.get("NO_COLOR") or os.environ.get("CI") or os.environ.get("TERM") == "dumb":
        return False
    return (stream or sys.stdout).isatty()


def padded(text: str, width: int) -> str:
    """Pad `text` with blanks to a width; a Chinese character takes two columns."""
    return text + " " * (width - wide(text))


def wide(text: str) -> int:
    """Return the columns of a terminal that a text takes."""
    return len(text) + sum(unicodedata.east_asian_width(each) in "WF" for each in text)


def paint(text: str, style: str, stream: TextIO | None = None) -> str:
    if not colour_wanted(stream):
        return localized(text)
    return f"\x1b[{_STYLES[style]}m{localized(text)}\x1b[0m"


def say(text: str = "") -> None:
    sys.stdout.write(localized(text) + "\n")
    sys.stdout.flush()


def complain(text: str, *, style: str = "") -> None:
    """Print an error line to stderr; ignore a closed stream."""
    said = paint(text, style, sys.stderr) if style else localized(text)
    with suppress(OSError):
        sys.stderr.write(said + "\n")
        sys.stderr.flush()


def shown(value: str) -> str:
    """Return a value on one line, with escapes for what can't be printed."""
    signs = (s if s.isprintable() else s.encode("unicode_escape").decode() for s in value)
    plain = "".join(signs)
    return plain if len(plain) <= LONGEST else f"{plain[:LONGEST]}…"


def agreed(question: str) -> bool:
    """True if the person at the terminal says yes; any other answer, or none, is a no."""
    try:
        answer = input(f"{localized(question)} [y/N] ")
    except EOFError:
        return False
    return answer.strip().lower() in ("y", "yes")


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return rows as left-aligned columns, two blanks between them, no trailing blanks."""
    said = [tuple(map(localized, row)) for row in rows]
    widths = [max(map(wide, column)) for column in zip(*said, strict=True)]
    lines = (
        "  ".join(padded(cell, width) for cell, width in zip(row, widths, strict=True))
        for row in said
    )
    return "\n".join(line.rstrip() for line in lines)
