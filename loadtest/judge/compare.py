"""What the reference model expects of a field, and the difference to what a book says."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from loadtest.judge.fields import held
from loadtest.times import instant, timestamp

Row = Mapping[str, Any]
EXACT = 1e-5
"""Books differ in how many digits of an instant they keep."""
RUN = "the run"
_PLACE = re.compile(r"\[\d+\]")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that can't be so: the rule that it breaks, the job, and both sides of it."""

    rule: str
    job_id: str
    stage: int
    text: str
    expected: str = ""
    found: str = ""
    row: Row | None = None
    """What the book says, whole; for the report."""


class Between(NamedTuple):
    """A number or an instant inside these bounds; None is no bound."""

    low: float | None
    high: float | None
    moment: bool = True
    missing: bool = False
    """Whether there need not be one."""


class At(NamedTuple):
    """An instant, as exactly as books keep it."""

    at: float | None


class Begins(NamedTuple):
    """A text of which only the beginning is known."""

    text: str


class OneOf(NamedTuple):
    values: tuple[Any, ...]


def differences(
    file: str, row: Row, expected: Mapping[str, Any], *, job_id: str, stage: int, prefix: str = ""
) -> Iterator[Finding]:
    """Each field of a row that is not what the model expects; what it has no word on is left."""
    for path, wanted in expected.items():
        found = _value(row, path)
        if fits(wanted, found):
            continue
        field = f"{prefix}{path}"
        by = held(file, _general(field))
        said, stated = shown(wanted), _plain(found)
        if isinstance(wanted, At | Between) and (at := instant(found)) is not None:
            stated = timestamp(at) if _is_moment(wanted) else stated
        name = rule(file, field)
        text = f"{name} is {stated}; by {by.by if by else 'the model'} it is {said}"
        yield Finding(name, job_id, stage, text, said, stated, row)


def rule(file: str, field: str) -> str:
    """The name of the rule that holds a field: its book and the field."""
    book = file.partition(".")[0]
    return f"{book}.{_general(field)}"


def _general(field: str) -> str:
    """A field's name without the places in its lists."""
    return _PLACE.sub("[]", field)


def fits(wanted: Any, found: Any) -> bool:
    match wanted:
        case At(at=at):
            there = instant(found)
            return there is None if at is None else there is not None and abs(there - at) <= EXACT
        case Between(low=low, high=high, moment=moment, missing=missing):
            number = instant(found) if moment else found
            if not isinstance(number, int | float) or isinstance(number, bool):
                return missing and found is None
            return (low is None or number >= low) and (high is None or number <= high)
        case OneOf(values=values):
            return any(type(each) is type(found) and each == found for each in values)
        case Begins(text=text):
            return isinstance(found, str) and found.startswith(text)
        case bool() | None:
            return found is wanted
        case float() | int():
            same = isinstance(found, int | float) and not isinstance(found, bool)
            return same and abs(found - wanted) <= EXACT
        case _:
            return bool(wanted == found)


def shown(wanted: Any) -> str:
    match wanted:
        case At(at=at):
            return timestamp(at) if at is not None else "none"
        case Between(low=low, high=high, moment=moment):
            bounds = [
                f"{word} {timestamp(bound) if moment else f'{bound:g}'}"
                for word, bound in (("at the earliest", low), ("at the latest", high))
                if bound is not None
            ]
            if not moment:
                bounds = [b.replace("earliest", "least").replace("latest", "most") for b in bounds]
            return ", ".join(bounds) or "there"
        case OneOf(values=values):
            return " or ".join(map(_plain, values)) or "not there"
        case Begins(text=text):
            return f"{text}…"
        case _:
            return _plain(wanted)


def _is_moment(wanted: Any) -> bool:
    return isinstance(wanted, At) or bool(wanted.moment)


def _plain(value: Any) -> str:
    text = "none" if value is None else str(value)
    return text if len(text) <= 120 else f"{text[:117]}…"


def _value(row: Any, path: str) -> Any:
    for part in path.split("."):
        row = row.get(part) if isinstance(row, Mapping) else None
    return row
