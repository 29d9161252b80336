"""From one raw row to one fact: the types of its fields, and how a row is read.

What may be missing, or of the wrong type, becomes None or empty: a broken record is a finding and
not a crash. What the load test itself must have noted is required; pydantic names all that is not.
"""

import re
from collections.abc import Callable
from functools import cache
from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator, ConfigDict, TypeAdapter

from loadtest.times import instant

# A fact is made from a row by the row's names, and in tests by its own.
FACT = ConfigDict(populate_by_name=True)
_EXTERNAL = re.compile(r"(.+)\.(image|video)\.(\d+)")
Row = dict[str, Any]
Fact = TypeVar("Fact")


def read(kind: Callable[..., Fact], row: Row) -> Fact:
    """One row as a fact; raises pydantic's ValidationError where what is required is missing."""
    found: Fact = _adapter(kind).validate_python(row)
    return found


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def owner(external_id: object) -> tuple[str | None, int | None]:
    """The job that a generation was asked for and which attempt it was, by the id that we gave."""
    match = _EXTERNAL.fullmatch(str(external_id))
    return (match.group(1), int(match.group(3))) if match else (None, None)


def step_of(external_id: object) -> str | None:
    """The stage that a generation was asked for, by the id that we gave."""
    match = _EXTERNAL.fullmatch(str(external_id))
    return match.group(2) if match else None


def whole(value: object) -> int:
    return int(value) if isinstance(value, int | float) else 0


def mapping(value: object) -> Row:
    return value if isinstance(value, dict) else {}


def _mappings(value: object) -> object:
    """A row's list without what is no object in it; a tuple of facts stays as it is."""
    if isinstance(value, tuple):
        return value
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []


Instant = Annotated[float | None, BeforeValidator(instant)]
String = Annotated[str, BeforeValidator(str)]
StringOrNone = Annotated[str | None, BeforeValidator(lambda v: None if v is None else str(v))]
Whole = Annotated[int, BeforeValidator(whole)]
WholeOrNone = Annotated[int | None, BeforeValidator(lambda v: v if isinstance(v, int) else None)]
Truth = Annotated[bool, BeforeValidator(bool)]
Mapping = BeforeValidator(mapping)
Mappings = BeforeValidator(_mappings)
Several = BeforeValidator(lambda v: v or ())
