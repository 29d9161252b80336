"""Whatever Temporal carries between our processes is a message, so that the others' tests hold."""

from collections.abc import Callable
from datetime import datetime
from enum import Enum
from typing import Any, get_args, get_origin, get_type_hints

import pytest

from shared.jobs.messages import Message
from tests.messages.kinds import MODULES

# How the SDK marks what it calls.
MARKS = ("__temporal_", "_defn")
# It takes in each request by itself, so that one out of bounds spoils no other.
READS = "SemaphoreWorkflow.request"
PLAIN = (str, int, float, bool, datetime, type(None), Ellipsis)


def handlers() -> dict[str, Callable[..., Any]]:
    """Activities, and a workflow's run, signals, queries and updates."""
    return {
        found.__qualname__: found
        for module in MODULES
        for kind in vars(module).values()
        if isinstance(kind, type) and kind.__module__ == module.__name__
        for found in vars(kind).values()
        if any(name.startswith(MARKS) for name in getattr(found, "__dict__", ()))
    }


def test_each_kind_of_handler_is_found() -> None:
    semaphore = {f"SemaphoreWorkflow.{name}" for name in ("run", "request", "change", "view")}
    assert {*semaphore, "StageActivities.gen_image"} <= set(handlers())


@pytest.mark.parametrize("name", sorted({*handlers()} - {READS}))
def test_nothing_is_told_but_messages(name: str) -> None:
    for hint in get_type_hints(handlers()[name]).values():
        assert all(map(is_told, parts(hint))), hint


def parts(hint: Any) -> list[Any]:
    """The types that a hint is made of."""
    return [p for each in get_args(hint) for p in parts(each)] if get_origin(hint) else [hint]


def is_told(hint: Any) -> bool:
    """Whether it is a message, or has no fields that could be unknown."""
    return hint in PLAIN or (isinstance(hint, type) and issubclass(hint, Message | Enum))
