"""Describe what is wrong with an input: the field by its name, and a sentence."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import AfterValidator, BeforeValidator
from pydantic_core import PydanticCustomError

# The answer must not grow with the input.
MOST = 20
LONGEST_NAME = 100

# By pydantic's types of errors. A validator's own message is passed on.
_SENTENCES = {
    "missing": "It is missing.",
    "extra_forbidden": "There is no such field.",
    "too_many_values": "It holds more than {most} values.",
    "repeated": "It is given more than once.",
    "unknown_parameter": "There is no such parameter.",
    "string_type": "It must be a string.",
    "string_unicode": "It contains half of a surrogate pair.",
    "string_too_short": "Its length must be at least {min_length}.",
    "string_too_long": "Its length must be at most {max_length}.",
    "too_short": "Its length must be at least {min_length}.",
    "too_long": "Its length must be at most {max_length}.",
    "int_type": "It must be a whole number.",
    "int_parsing": "It must be a whole number.",
    "int_parsing_size": "It must be a whole number with fewer digits.",
    "int_from_float": "It must be a whole number.",
    "float_type": "It must be a number.",
    "float_parsing": "It must be a number.",
    "finite_number": "It must be a finite number.",
    "bool_type": "It must be true or false.",
    "bool_parsing": "It must be true or false.",
    "greater_than": "It must be above {gt}.",
    "greater_than_equal": "It must be at least {ge}.",
    "less_than_equal": "It must be at most {le}.",
    "less_than": "It must be below {lt}.",
    "string_pattern_mismatch": "It must be of the form {pattern}.",
    "enum": "It must be {expected}.",
    "literal_error": "It must be {expected}.",
    "dict_type": "It must be a JSON object.",
    "model_type": "It must be a JSON object.",
    "model_attributes_type": "It must be a JSON object.",
    "list_type": "It must be a list.",
    "tuple_type": "It must be a list.",
    "json_invalid": "It is not JSON: {error}.",
    "value_error": "{error}",
}
# Of patterns that say little to a reader.
_BY_PATTERN = {
    r"^[^\x00]*$": "It may not hold a NUL character.",
    r"^[^\x00-\x1f\x7f]*$": "It may not hold control characters, such as a line break.",
    r"^[\x21-\x7e]+$": "It may hold only visible ASCII characters, without spaces.",
}


def _digits(given: object) -> object:
    if isinstance(given, str) and not re.fullmatch("[0-9]+", given):
        raise PydanticCustomError("int_parsing", "is not a whole number")
    return given


# Of a whole number, behind its bounds: pydantic takes `1_0` for 10, and blanks and signs, too.
DIGITS = BeforeValidator(_digits)


def read_by(read: Callable[[Any], object]) -> AfterValidator:
    """Return a validator by what reads the value; it keeps the value, and raises what that
    raises."""

    def check(value: Any) -> Any:
        read(value)
        return value

    return AfterValidator(check)


class Mistake(NamedTuple):
    """A mistake. `field` is as in `prompt`, `jobs[1].style`, `Idempotency-Key`; `body` for the
    whole."""

    field: str
    message: str


def mistakes_of(errors: Sequence[Mapping[str, Any]]) -> tuple[list[Mistake], int]:
    """Return the first of pydantic's errors, and how many more there are.

    Each `loc` begins with the part of the request.
    """
    found = [error for error in errors if not _counts_what_fits(error)]
    first = [Mistake(utf8(_field(error["loc"])), sentence_of(error)) for error in found[:MOST]]
    return first, len(found) - len(first)


def _counts_what_fits(error: Mapping[str, Any]) -> bool:
    """True if a list is too short only because pydantic left out its invalid items."""
    if error["type"] != "too_short":
        return False
    least: int = error["ctx"]["min_length"]
    return len(error["input"]) >= least


def _field(loc: tuple[str | int, ...]) -> str:
    part, *path = loc
    if part == "header":
        name = str(path[0])
        return "-".join(map(str.capitalize, name.split("-"))) if name.islower() else name
    # If the body is no JSON, a number is the character position of the error.
    if path and isinstance(path[0], int):
        return str(part)
    return member_of(path) or str(part)


def member_of(loc: Iterable[str | int]) -> str:
    """Return a field's path as a person writes it, `effects[1].with.seconds`; empty if there is
    none."""
    steps = (f"[{step}]" if isinstance(step, int) else f".{_name(step)}" for step in loc)
    return utf8("".join(steps).removeprefix("."))


def _name(step: str) -> str:
    return step if len(step) <= LONGEST_NAME else f"{step[:LONGEST_NAME]}…"


def sentence_of(error: Mapping[str, Any]) -> str:
    values = error.get("ctx", {})
    template = _BY_PATTERN.get(values.get("pattern")) or _SENTENCES.get(error["type"])
    if template is None:
        return utf8(f"{error['msg'].rstrip('.')}.")
    return utf8(template.format_map(values))


def utf8(text: str) -> str:
    """Replace lone surrogates, which no response can carry."""
    return text.encode("utf-8", "replace").decode()
