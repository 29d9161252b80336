"""The texts in Chinese by the English ones, their keys: a file for each place that shows them.

What is said is written in English everywhere, and put into Chinese where a person sees it: files
for programs, logs, and whoever speaks no Chinese get the same bytes as ever.
"""

import json
import os
import re
from collections.abc import Mapping
from functools import cache, lru_cache
from pathlib import Path

PAGE, COMMANDS, REPORT = (
    Path(__file__).with_name(f"{name}.json") for name in ("page", "commands", "report")
)
LONGEST = 1500
_BLANK = re.compile(r"\{(\d)\}")
_WORD = re.compile(r"[A-Za-z]{2}")
# A name that a line begins with, and what is between columns.
_GAP = re.compile(r"(^  [\w-]+ +| {2,})")
_Form = tuple[str, re.Pattern[str], str]


def is_chinese(environ: Mapping[str, str]) -> bool:
    """Whether a shell's language is Chinese: LC_ALL, LC_MESSAGES, LANG, and LANGUAGE before them.

    As for gettext, LANGUAGE counts only where one of the others names a language at all.
    """
    names = ("LC_ALL", "LC_MESSAGES", "LANG")
    locale = next((environ[name] for name in names if environ.get(name)), "C")
    if locale.partition(".")[0] in ("C", "POSIX"):
        return False
    return (environ.get("LANGUAGE") or locale).lower().startswith("zh")


def spoken(text: str) -> str:
    """Lines in the language of this process's shell; where one is of columns, each by itself."""
    return "\n".join(map(_line, text.split("\n"))) if is_chinese(os.environ) else text


def _line(text: str) -> str:
    indent, begun = text[: len(text) - len(text.lstrip())], text.lstrip()
    if (whole := told(begun)) != begun:
        return indent + whole
    return "".join(told(part, words=COMMANDS) for part in _GAP.split(text))


@lru_cache(maxsize=20_000)
def told(text: str, *, words: Path | None = None) -> str:
    """A text in Chinese: one of a table's (of all without `words`), or one that fits its blanks."""
    if not _WORD.search(text) or len(text) > LONGEST:
        return text
    plain, forms = _tables(*((words,) if words else (PAGE, COMMANDS, REPORT)))
    if text in plain:
        return plain[text]
    for chunk, form, chinese in forms:
        if chunk in text and (found := form.fullmatch(text)):
            return _filled(chinese, [told(part, words=words) for part in found.groups()])
    return text


def _filled(text: str, parts: list[str]) -> str:
    return _BLANK.sub(lambda blank: parts[int(blank[1]) - 1], text)


@cache
def _tables(*files: Path) -> tuple[dict[str, str], list[_Form]]:
    """Texts without blanks; those with some: first what begins with a word, and what says most."""
    every = {key: text for file in files for key, text in json.loads(file.read_bytes()).items()}
    blanked = sorted(filter(_BLANK.search, every), key=_rank)
    plain = {key: text for key, text in every.items() if "{" not in key or "…" in key}
    return plain, [(_chunk(key), _form(key), every[key]) for key in blanked]


def _rank(key: str) -> tuple[bool, int]:
    return bool(_BLANK.match(key)), -len(_BLANK.sub("", key))


def _chunk(key: str) -> str:
    return max(_BLANK.split(key)[::2], key=len)


def _form(key: str) -> re.Pattern[str]:
    return re.compile("(.*?)".join(map(re.escape, _BLANK.split(key)[::2])), re.S)
