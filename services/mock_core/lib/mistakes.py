"""What is wrong with an input, for whoever wrote it: the member by its name, and a sentence."""

from collections.abc import Iterable, Mapping
from typing import Any

# By pydantic's own names of what can be wrong. A validator's words are told as they are.
_SENTENCES = {
    "missing": "is missing",
    "extra_forbidden": "there is no such member",
    "unknown_parameter": "there is no such parameter",
    "repeated": "is given more than once",
    "string_type": "must be a string",
    "string_unicode": "holds half of a surrogate pair, which is no character",
    "string_too_short": "its length must be at least {min_length}",
    "string_too_long": "its length must be at most {max_length}",
    "too_short": "its length must be at least {min_length}",
    "too_long": "its length must be at most {max_length}",
    "string_pattern_mismatch": "must be of the form {pattern}",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a whole number, and not so long a one",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "greater_than": "must be above {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be below {lt}",
    "less_than_equal": "must be at most {le}",
    "enum": "must be {expected}",
    "literal_error": "must be {expected}",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
    "json_invalid": "is not JSON: {error}",
    "value_error": "{error}",
}


def member_of(loc: Iterable[str | int]) -> str:
    """The name of a member as its writer knows it: `effects[1].with.seconds`; empty for none."""
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in loc)
    return "".join(steps).removeprefix(".")


def problem_of(error: Mapping[str, Any]) -> str:
    """What pydantic found, said in our words where they are better than its own."""
    template = _SENTENCES.get(error["type"], "")
    return template.format_map(error.get("ctx", {})) or str(error["msg"])
