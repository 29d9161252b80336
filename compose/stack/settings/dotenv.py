"""Reads `.env` and `.env.example`; a line that is not NAME=value is reported, never guessed at."""

import os
import re
from collections.abc import Collection
from pathlib import Path

_LINE = re.compile(r"^(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)$")
# Behind a closing quote.
_NOTHING = re.compile(r"\s*(?:#.*)?")
_SETTING = re.compile(r"^(?:# ?)?([A-Z][A-Z0-9_]*)=", re.MULTILINE)


def _value(raw: str) -> str | None:
    """The value without its quotes or trailing comment; None where a quote is left open, or the
    value goes on behind it."""
    if raw[:1] in ("'", '"'):
        end = raw.find(raw[0], 1)
        return raw[1:end] if end > 0 and _NOTHING.fullmatch(raw[end + 1 :]) else None
    return re.split(r"(?:^|\s)#", raw, maxsplit=1)[0].strip()


def parse(text: str) -> tuple[dict[str, str], list[str]]:
    """Names with their values, and one complaint per line that does not fit."""
    values: dict[str, str] = {}
    wrong: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        match = _LINE.match(stripped)
        value = _value(match[2]) if match else None
        if match is None or value is None or "\0" in value:
            wrong.append(f".env line {number} is not NAME=value")
        else:
            values[match[1]] = value
    return values, wrong


def read(path: Path, *, only: Collection[str] | None = None) -> tuple[dict[str, str], list[str]]:
    """Like `parse`; a missing file has no settings, and one that can't be read is a complaint.

    Where `only` some names count, so do lines alone that have one of these in them.
    """
    if not os.path.lexists(path):
        return {}, []
    if not path.is_file():
        return {}, [f"{path.name} is no file"]
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
        return parse("\n".join(each if _counts(each, only) else "" for each in lines))
    except UnicodeDecodeError:
        return {}, [f"{path.name} is no text in UTF-8"]
    except OSError as error:
        return {}, [f"{path.name} can't be read: {error.strerror}"]


def _counts(line: str, only: Collection[str] | None) -> bool:
    return only is None or any(name in line for name in only)


def documented_names(example: Path) -> frozenset[str]:
    """Every setting that `.env.example` documents, set there or commented out."""
    return frozenset(_SETTING.findall(example.read_text(encoding="utf-8")))
