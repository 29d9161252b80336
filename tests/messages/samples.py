"""A message of any kind with every field said, and the same as a later release would say it."""

from collections.abc import Callable
from datetime import UTC, datetime
from enum import Enum
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import AwareDatetime
from pydantic_core import to_jsonable_python

from shared.jobs.messages import Message

MOMENT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
PLAIN: dict[Any, object] = {
    str: "text",
    bool: True,
    int: 3,
    float: 1.5,
    datetime: MOMENT,
    AwareDatetime: MOMENT,
}
# What no release says today.
EXTRA = {"of_a_later_release": {"any": ["thing"]}}


def sample(kind: type[Message]) -> Message:
    """One message, the same at every call."""
    fields = {name: _value(field.annotation) for name, field in kind.model_fields.items()}
    return kind.model_validate(fields)


def _value(hint: Any) -> object:
    if isinstance(hint, type) and issubclass(hint, Message):
        return sample(hint)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return next(iter(hint))
    return PLAIN[hint] if hint in PLAIN else _OF[get_origin(hint)](get_args(hint))


def _tuple(hints: tuple[Any, ...]) -> object:
    return tuple(_value(hint) for hint in hints if hint is not Ellipsis)


def _dict(hints: tuple[Any, ...]) -> object:
    return {_value(hints[0]): _value(hints[1])}


def _one(hints: tuple[Any, ...]) -> object:
    return _value(next(hint for hint in hints if hint is not NoneType))


_OF: dict[Any, Callable[[tuple[Any, ...]], object]] = {
    Annotated: _one,
    Literal: lambda hints: hints[0],
    Union: _one,
    UnionType: _one,
    tuple: _tuple,
    list: lambda hints: [_value(hints[0])],
    dict: _dict,
}


def later(value: object) -> Any:
    """The message as JSON with one field more in every object of it."""
    if isinstance(value, Message):
        return {name: later(getattr(value, name)) for name in type(value).model_fields} | EXTRA
    if isinstance(value, tuple | list):
        return [later(each) for each in value]
    if isinstance(value, dict):
        return {str(key): later(each) for key, each in value.items()}
    return to_jsonable_python(value)
