"""A failure of work in the background of a block reaches the code that waits in the block."""

import asyncio

import pytest

from shared.semaphore.worker import in_background


async def _fails() -> None:
    raise KeyError("gone")


async def _goes_on(ended: asyncio.Event | None = None) -> None:
    try:
        await asyncio.Event().wait()
    finally:
        if ended:
            ended.set()


async def test_its_failure_ends_the_block() -> None:
    with pytest.raises(KeyError, match="gone"):
        async with in_background(_fails()):
            await asyncio.Event().wait()
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_it_ends_with_the_block() -> None:
    ended = asyncio.Event()
    async with in_background(_goes_on(ended)):
        await asyncio.sleep(0)
    await ended.wait()


async def test_the_block_fails_of_its_own() -> None:
    with pytest.raises(ValueError, match="ours"):
        async with in_background(_goes_on()):
            raise ValueError("ours")


async def test_who_is_cancelled_stays_so() -> None:
    begun = asyncio.Event()

    async def block() -> None:
        async with in_background(_goes_on()):
            begun.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(block())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
