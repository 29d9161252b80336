"""Why a job is to end early, as a state that every wait of its code looks at.

The job's own task is never cancelled by asyncio, so that no wait can lose a cancellation, be torn
by it, or hear of it twice. No other module awaits an activity.
"""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from enum import StrEnum
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

T = TypeVar("T")

# An activity that failed in no way of ours: a time-out of Temporal's, say.
UNCLASSED = "activity_failed"


class Reason(StrEnum):
    """Why a job ends early; the first one counts."""

    CANCELLED = "cancelled"
    TIME_IS_UP = "time is up"


class Interrupted(Exception):
    """A wait has ended since the job is to end.

    `in_doubt`: what was awaited may have left something at a vendor, or on its way there.
    """

    def __init__(self, *, in_doubt: bool = False) -> None:
        super().__init__()
        self.in_doubt = in_doubt


class StageFailed(Exception):
    """An activity failed in a way that no retry of delivery mends."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class Cancellation:
    """Owns the reason, and all waiting that heeds it."""

    def __init__(self) -> None:
        self.reason: Reason | None = None

    def request(self, reason: Reason) -> None:
        """The job is to end; a later reason changes nothing."""
        self.reason = self.reason or reason

    async def watch(self, work: asyncio.Task[None]) -> None:
        """Wait for the job's work and for all that its handlers do; the workflow's cancellation,
        which arrives here and nowhere else, becomes the reason."""
        while True:
            try:
                await workflow.wait_condition(
                    lambda: work.done() and workflow.all_handlers_finished()
                )
            except asyncio.CancelledError:
                self.request(Reason.CANCELLED)
            else:
                return work.result()

    async def until_any(self, reached: Callable[[], bool]) -> None:
        """Return when something was reached, or the job is to end."""
        await workflow.wait_condition(lambda: reached() or self.reason is not None)

    async def until(self, reached: Callable[[], bool], within: timedelta | None = None) -> bool:
        """Whether something was reached within the time; Interrupted where the job is to end."""
        try:
            await workflow.wait_condition(
                lambda: reached() or self.reason is not None, timeout=within
            )
        except TimeoutError:
            return False
        self.check()
        return True

    async def sleep(self, duration: timedelta) -> None:
        """Wait for so long; Interrupted where the job is to end."""
        await self.until(lambda: False, duration)

    def check(self) -> None:
        """Interrupted where the job is to end."""
        if self.reason is not None:
            raise Interrupted

    async def finish(self, handle: workflow.ActivityHandle[T]) -> T:
        """The activity's result; StageFailed with our code.

        Where the job is to end the activity is stopped, its end is awaited, and Interrupted raised,
        also where it ended well in the meantime.
        """
        await self.until_any(handle.done)
        if not handle.done():
            handle.cancel()
        try:
            result = await handle
        except ActivityError as error:
            if self.reason is None:
                raise _failure(error) from error
            raise Interrupted(in_doubt=not is_cancelled_exception(error)) from error
        if self.reason is not None:
            raise Interrupted(in_doubt=True)
        return result


async def drop(handle: workflow.ActivityHandle[Any]) -> None:
    """Stop an activity whose result is not needed any more, without waiting for it."""
    handle.cancel()
    try:
        await handle
    except ActivityError:
        return


async def to_its_end(handle: workflow.ActivityHandle[T]) -> T:
    """The result of what is done whether the job is to end or not; ActivityError as it comes."""
    return await handle


def _failure(error: ActivityError) -> StageFailed:
    cause = error.cause
    if isinstance(cause, ApplicationError):
        return StageFailed(cause.type or "internal", cause.message)
    return StageFailed(UNCLASSED, f"{error.activity_type}: {cause or error}")
