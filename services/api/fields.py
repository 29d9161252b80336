"""What a caller may write into a field, and the sentence for whoever wrote something else."""

import re
import unicodedata
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_VISIBLE_ASCII = re.compile(r"[\x21-\x7e]+")
# Spaces, separators, controls, formats such as U+200B, and marks that need a letter before them.
_BLANK_CATEGORIES = frozenset({"Zs", "Zl", "Zp", "Cc", "Cf", "Mn", "Me"})
# Letters and a symbol that Unicode itself draws as nothing: the fillers, and Braille's blank.
_BLANK_CHARACTERS = frozenset("\u115f\u1160\u2800\u3164\uffa0")


def _is_visible(character: str) -> bool:
    blank = unicodedata.category(character) in _BLANK_CATEGORIES
    return not blank and character not in _BLANK_CHARACTERS


def _something_to_draw(text: str) -> str:
    if "\0" in text:
        raise ValueError("It may not hold a NUL character.")
    if not any(map(_is_visible, text)):
        raise ValueError("It needs at least one character that can be seen.")
    return text


def _one_line(text: str) -> str:
    """A control character would break log lines and visibility queries."""
    if _CONTROL.search(text):
        raise ValueError("It may not hold control characters, such as a line break.")
    return text


def _visible_ascii(text: str) -> str:
    if not _VISIBLE_ASCII.fullmatch(text):
        raise ValueError("It may hold nothing but visible ASCII characters, and no space.")
    return text


# The patterns tell the reference what the functions check.
PromptText = Annotated[
    str,
    StringConstraints(min_length=1, max_length=2500),
    AfterValidator(_something_to_draw),
    Field(json_schema_extra={"pattern": r"^[^\x00]*$"}),
]
StyleText = Annotated[
    str,
    StringConstraints(max_length=200),
    AfterValidator(_one_line),
    Field(json_schema_extra={"pattern": r"^[^\x00-\x1f\x7f]*$"}),
]
TagText = Annotated[
    str,
    StringConstraints(min_length=1, max_length=200),
    AfterValidator(_one_line),
    Field(json_schema_extra={"pattern": r"^[^\x00-\x1f\x7f]*$"}),
]
KeyText = Annotated[
    str,
    StringConstraints(min_length=1, max_length=200),
    AfterValidator(_visible_ascii),
    Field(json_schema_extra={"pattern": r"^[\x21-\x7e]+$"}),
]
