"""The commands that pages print: what stands in inline code or in a block for a shell."""

import re
import shlex
from collections.abc import Iterator

from tests.docs.pages import fences, spans

SHELL = {"sh", "bash", "console", "shell"}
_ASSIGNED = re.compile(r"([A-Z_]+)=(.*)", re.DOTALL)
# Where one command ends: another one, a pipe, a file, a comment.
_END = re.compile(r"&&|;| \| |>>| # ")
# make's own way of writing a `$`.
_DOLLAR = "$$"


def commands(text: str) -> Iterator[str]:
    """Each command with its arguments; `a && b` are two."""
    blocks = [body for language, body in fences(text) if language in SHELL]
    lines = [line for body in blocks for line in body.replace("\\\n", " ").splitlines()]
    for line in (*(" ".join(span.split()) for span in spans(text)), *lines):
        yield from (part.strip() for part in _END.split(line))


def split(command: str) -> tuple[dict[str, str], list[str]]:
    """What is assigned before the program, and the program with its arguments."""
    try:
        words = shlex.split(command)
    except ValueError:
        return {}, []
    before: dict[str, str] = {}
    while words and (match := _ASSIGNED.fullmatch(words[0])):
        before[match[1]] = match[2]
        del words[0]
    return before, words


def of_make(text: str) -> list[str]:
    """Every command that has make do something, once each."""
    found = [each for each in commands(text) if split(each)[1][:1] == ["make"]]
    return [each for each in dict.fromkeys(found) if len(split(each)[1]) > 1]


def given(command: str) -> dict[str, str]:
    """The variables that a command gives a value, as they are to arrive."""
    before, words = split(command)
    said = [match for word in words if (match := _ASSIGNED.fullmatch(word))]
    return before | {match[1]: match[2].replace(_DOLLAR, "$") for match in said}
