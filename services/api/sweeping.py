"""Looks again and again; a look that fails is told and does not end it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import structlog

from shared.errors import TemporalUnavailable
from shared.temporal import is_away

log = structlog.get_logger(__name__)


@asynccontextmanager
async def sweeping(sweep: Callable[[], Awaitable[None]], seconds: float) -> AsyncIterator[None]:
    """Sweep, with so many seconds between, until the end; that the server is away is no news."""
    task = asyncio.create_task(_again(sweep, seconds))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _again(sweep: Callable[[], Awaitable[None]], seconds: float) -> None:
    while True:
        try:
            await sweep()
        except Exception as error:
            if not (isinstance(error, TemporalUnavailable) or is_away(error)):
                log.exception("the sweep failed")
        await asyncio.sleep(seconds)
