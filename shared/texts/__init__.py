"""Chinese translations, looked up by the finished English text: a table for each place of use.

Code writes English. A text is translated where a person sees it; files for programs and logs stay
English (docs/decisions/0035).
"""

import json
import os
import re
import sys
from collections.abc import Mapping
from functools import cache, lru_cache
from io import TextIOWrapper
from pathlib import Path

# ERRORS: the sentences of problems, and their codes.
PAGE, COMMANDS, REPORT, ERRORS = (
    Path(__file__).with_name(f"{name}.json") for name in ("page", "commands", "report", "errors")
)
LONGEST = 1500
_BLANK = re.compile(r"\{(\d)\}")
_WORD = re.compile(r"[A-Za-z]{2}")
# A name that a line begins with, and the gap between columns.
_GAP = re.compile(r"(^  [\w-]+ +| {2,})")
_Form = tuple[list[str], str]


def is_chinese(environ: Mapping[str, str]) -> bool:
    """True if a shell's language is Chinese.

    As for gettext, LANGUAGE comes first, and counts only if LC_ALL, LC_MESSAGES or LANG is set.
    """
    names = ("LC_ALL", "LC_MESSAGES", "LANG")
    locale = next((environ[name] for name in names if environ.get(name)), "C")
    if locale.partition(".")[0] in ("C", "POSIX"):
        return False
    return (environ.get("LANGUAGE") or locale).lower().startswith("zh")


def replace_unprintable() -> None:
    """Write `?` for characters that the shell's encoding lacks, in place of an error."""
    if isinstance(sys.stdout, TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="replace")


def localized(text: str) -> str:
    """Translate lines into the language of this process's shell, columns one by one."""
    return "\n".join(map(_line, text.split("\n"))) if is_chinese(os.environ) else text


def _line(text: str) -> str:
    indent, begun = text[: len(text) - len(text.lstrip())], text.lstrip()
    if (whole := translated(begun)) != begun:
        return indent + whole
    return "".join(translated(part, words=COMMANDS) for part in _GAP.split(text))


@lru_cache(maxsize=20_000)
def translated(text: str, *, words: Path | None = None) -> str:
    """Translate a text by the table `words`, or by all; text without a translation is returned."""
    if not _WORD.search(text) or len(text) > LONGEST:
        return text
    plain, forms = _tables(*((words,) if words else (PAGE, COMMANDS, REPORT)))
    if text in plain:
        return plain[text]
    # Columns are translated one by one.
    for said, chinese in () if "  " in text else forms:
        if (found := _between(said, text)) is not None:
            return _filled(chinese, [_listed(part, words) for part in found])
    return text


def _filled(text: str, parts: list[str]) -> str:
    return _BLANK.sub(lambda blank: parts[int(blank[1]) - 1], text)


def _listed(text: str, words: Path | None) -> str:
    whole = translated(text, words=words)
    return (
        whole if whole != text else ", ".join(translated(p, words=words) for p in text.split(", "))
    )


@cache
def _tables(*files: Path) -> tuple[dict[str, str], list[_Form]]:
    every = {key: text for file in files for key, text in json.loads(file.read_bytes()).items()}
    blanked = sorted(filter(_BLANK.search, every), key=_rank)
    plain = {key: text for key, text in every.items() if "{" not in key or "…" in key}
    return plain, [(_BLANK.split(key)[::2], every[key]) for key in blanked]


def _rank(key: str) -> tuple[bool, bool, int]:
    # A finding's kind and job precede its text, which is translated separately.
    return bool(_BLANK.match(key)), ": job-" not in key, -len(_BLANK.sub("", key))


def _between(said: list[str], text: str) -> list[str] | None:
    """Return what fills the blanks, each as short as possible; None if the text does not fit.

    In linear time: a regular expression could backtrack for ever on a text that almost fits.
    """
    first, *inner, last = said
    end = len(text) - len(last)
    if not (text.startswith(first) and text.endswith(last)):
        return None
    found, begin = [], len(first)
    for each in inner:
        place = text.find(each, begin, end)
        if place < 0:
            return None
        found.append(text[begin:place])
        begin = place + len(each)
    return [*found, text[begin:end]] if begin <= end else None
