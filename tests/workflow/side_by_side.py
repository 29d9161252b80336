"""Scenes that only wait are played beside each other, each in a pipeline of its own."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

Case = TypeVar("Case")


async def side_by_side(scene: Callable[[Case], Awaitable[None]], cases: Iterable[Case]) -> None:
    """The scene for each case, all at once; what fails says for which."""

    async def play(case: Case) -> None:
        try:
            await scene(case)
        except Exception as error:
            error.add_note(f"case: {case}")
            raise

    async with asyncio.TaskGroup() as group:
        for case in cases:
            group.create_task(play(case))
