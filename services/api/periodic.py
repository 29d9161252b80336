"""Work that is done again and again; a failure is logged and does not end it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import structlog

from shared.errors import NotReady, TemporalUnavailable
from shared.temporal.client import is_away
from shared.temporal.refusals import refusal

log = structlog.get_logger(__name__)


# Seconds between two rounds, from what is known at the end of the first.
Pause = Callable[[], float]


@asynccontextmanager
async def periodically(
    work: Callable[[], Awaitable[None]], pause: float | Pause
) -> AsyncIterator[None]:
    """Work until the block ends, with so many seconds between; Temporal being away is no news."""
    task = asyncio.create_task(_again(work, pause))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _again(work: Callable[[], Awaitable[None]], pause: float | Pause) -> None:
    while True:
        try:
            await work()
        except Exception as error:
            if not _is_no_news(error):
                log.exception("periodic work failed")
        await asyncio.sleep(pause() if callable(pause) else pause)


def _is_no_news(error: Exception) -> bool:
    """What `/readyz` says as long as it lasts."""
    return (
        isinstance(error, TemporalUnavailable | NotReady)
        or is_away(error)
        or refusal(error) is not None
    )
