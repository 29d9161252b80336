"""Compare a book's row with what the reference model expects of its fields."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from loadtest.judge.fields import UNVERIFIED, held
from loadtest.times import instant, timestamp

Row = Mapping[str, Any]
EXACT = 1e-5
"""Books differ in how many digits of an instant they keep."""
RUN = "the run"
_PLACE = re.compile(r"\[[^]]*\]")


@dataclass(frozen=True, slots=True)
class Finding:
    """A contradiction: the rule that it breaks, the job, and both sides."""

    rule: str
    job_id: str
    stage: int
    text: str
    expected: str = ""
    found: str = ""
    row: Row | None = None
    """The book's whole row, for the report."""


class Number(NamedTuple):
    """Expect a number within these bounds; None is no bound."""

    low: float | None
    high: float | None
    missing: bool = False
    """Whether the field may be empty."""


class Between(Number):
    """Expect an instant within these bounds."""


class Begins(NamedTuple):
    """Expect a text that begins so."""

    text: str


class OneOf(NamedTuple):
    """Expect one of these values."""

    values: tuple[Any, ...]


def exactly(at: float | None, off: float = EXACT) -> Between | None:
    """Expect this instant, as exactly as books keep it; None expects an empty field."""
    return None if at is None else Between(at - off, at + off)


@dataclass(slots=True)
class Subject:
    """What findings are about: a job of a stage, or the run."""

    job_id: str
    stage: int

    def found(self, rule: str, text: str, expected: object = "", seen: object = "") -> Finding:
        """Return a finding with both sides as text."""
        return Finding(rule, self.job_id, self.stage, text, str(expected), str(seen))

    def differ(
        self, file: str, row: Row, expected: Mapping[str, Any], prefix: str = ""
    ) -> Iterator[Finding]:
        """Find each field of a row that is not as expected; the names of fields begin with
        `prefix`. A field without an expectation passes."""
        for path, wanted in expected.items():
            seen: Any = row
            for part in path.split("."):
                seen = seen.get(part) if isinstance(seen, Mapping) else None
            if _fits(wanted, seen):
                continue
            field, book = _PLACE.sub("[]", f"{prefix}{path}"), file.partition(".")[0]
            by, name = held(file, field), f"{book}.{prefix}{path}"
            witness = by.by if by and by.how != UNVERIFIED else "the model"
            at = instant(seen) if isinstance(wanted, Between) else None
            stated, said = _plain(seen) if at is None else timestamp(at), _shown(wanted)
            text = f"{name} is {stated}; by {witness} it is {said}"
            yield Finding(f"{book}.{field}", self.job_id, self.stage, text, said, stated, row)


def _fits(wanted: Any, seen: Any) -> bool:
    match wanted:
        case Number(low=low, high=high):
            number = instant(seen) if isinstance(wanted, Between) else seen
            if not isinstance(number, int | float) or isinstance(number, bool):
                return wanted.missing and seen is None
            return (low is None or number >= low) and (high is None or number <= high)
        case OneOf(values=values):
            return any(type(each) is type(seen) and each == seen for each in values)
        case Begins(text=text):
            return isinstance(seen, str) and seen.startswith(text)
        case bool() | None:
            return seen is wanted
        case float() | int():
            same = isinstance(seen, int | float) and not isinstance(seen, bool)
            return same and abs(seen - wanted) <= EXACT
        case _:
            return bool(wanted == seen)


def _shown(wanted: Any) -> str:
    match wanted:
        case Between(low=float(low), high=float(high)) if high - low < 3 * EXACT:
            return timestamp((low + high) / 2)
        case Number():
            of_time = isinstance(wanted, Between)
            words = ("at the earliest", "at the latest") if of_time else ("at least", "at most")
            shown = timestamp if of_time else "{:g}".format
            known = (
                (word, at) for word, at in zip(words, wanted[:2], strict=True) if at is not None
            )
            return ", ".join(f"{word} {shown(at)}" for word, at in known) or "there"
        case OneOf(values=values):
            return " or ".join(map(_plain, values)) or "not there"
        case Begins(text=text):
            return f"{text}…"
        case _:
            return _plain(wanted)


def _plain(value: Any) -> str:
    text = "none" if value is None else str(value)
    return text if len(text) <= 120 else f"{text[:117]}…"
