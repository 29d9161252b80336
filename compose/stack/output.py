"""What the user sees; colour only on a terminal that wants it, one line per thing said."""

import os
import sys
from collections.abc import Sequence
from typing import TextIO

_STYLES = {"good": "32", "bad": "31", "warn": "33", "bold": "1", "dim": "2"}


def colour_wanted(stream: TextIO) -> bool:
    """NO_COLOR, CI and a missing terminal each switch colour off."""
    if os.environ.get("NO_COLOR") or os.environ.get("CI") or os.environ.get("TERM") == "dumb":
        return False
    return stream.isatty()


def paint(text: str, style: str, stream: TextIO | None = None) -> str:
    """`text` in a style of `_STYLES` where the stream takes colour, unchanged elsewhere."""
    if not colour_wanted(stream or sys.stdout):
        return text
    return f"\x1b[{_STYLES[style]}m{text}\x1b[0m"


def say(text: str = "") -> None:
    """A line of the answer."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def complain(text: str) -> None:
    """A line about what is wrong, kept apart from answers."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def agreed(question: str) -> bool:
    """Whether whoever sits at the terminal says yes; nobody, and any other word, is a no."""
    try:
        answer = input(f"{question} [y/N] ")
    except EOFError:
        return False
    return answer.strip().lower() in ("y", "yes")


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows as left-aligned columns, two blanks between them, no trailing blanks."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)
