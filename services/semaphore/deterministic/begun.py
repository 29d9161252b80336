"""A coroutine whose first command stands where it was made, and not at its task's first turn."""

from collections.abc import Awaitable, Coroutine, Generator
from typing import Any, TypeVar

T = TypeVar("T")


class Begun(Awaitable[T]):
    """Has run up to its first wait already."""

    def __init__(self, coroutine: Coroutine[Any, None, T]) -> None:
        self._coroutine = coroutine
        self._first = coroutine.send(None)

    def __await__(self) -> Generator[Any, None, T]:
        yield self._first
        return (yield from self._coroutine.__await__())
