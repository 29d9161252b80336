"""Waiting for what can only be looked at; bounded by the test's own time limit."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def eventually(look: Callable[[], Awaitable[T]]) -> T:
    """The first answer that is true, asked for again and again."""
    answer = await look()
    for _ in range(6000):
        if answer:
            return answer
        await asyncio.sleep(0.01)
        answer = await look()
    raise AssertionError(f"it never came true; the last answer was {answer!r}")
