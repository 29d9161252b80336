"""Cancellation as a state: why a job ends early, which every wait of its code checks.

asyncio never cancels the job's own task, so no wait can lose a cancellation, stop halfway, or get
it twice. No other module awaits an activity.
"""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from enum import StrEnum
from typing import TypeVar

from pydantic import ValidationError
from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError
from temporalio.exceptions import TimeoutError as ActivityTimedOut

from shared.pipeline.messages import Accepted, Left, Stored
from shared.pipeline.starting import NONE, StageFailed, Started, Tasks

T = TypeVar("T")
# An activity failed without one of our codes, such as by a time-out of Temporal's.
UNCLASSED = "activity_failed"
# An operator completed it with an invalid result.
BAD_COMPLETION = "bad_completion"


class Reason(StrEnum):
    """Why a job ends early; the first reason counts."""

    CANCELLED = "cancelled"
    TIME_IS_UP = "time is up"


class Interrupted(Exception):
    """A wait ended because the job is to end.

    `in_doubt`: the awaited work may have left something at a vendor, or on its way there. `tasks`:
    the accepted generations, the vendor's id by ours.
    """

    def __init__(self, *, in_doubt: bool = False, tasks: Tasks = NONE) -> None:
        super().__init__()
        self.in_doubt = in_doubt
        self.tasks = tasks


class Degraded(Exception):
    """The job ends with what it has made, because the rest can't be made."""

    def __init__(self, note: str, failure: StageFailed) -> None:
        super().__init__(note)
        self.note = note
        self.failure = failure


class Cancellation:
    """The reason, and all waits that check it."""

    def __init__(self) -> None:
        self.reason: Reason | None = None

    def request(self, reason: Reason) -> None:
        """Ask the job to end; a later reason changes nothing."""
        self.reason = self.reason or reason

    async def watch(self, work: asyncio.Task[None]) -> None:
        """Wait for the job's work and its handlers.

        The workflow's cancellation arrives only here, and becomes the reason.
        """
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
        """Return when a condition is true, or the job is to end."""
        await workflow.wait_condition(lambda: reached() or self.reason is not None)

    async def until(
        self, reached: Callable[[], bool], within: timedelta | None = None, why: str | None = None
    ) -> bool:
        """Return whether the condition became true in time; raise Interrupted if the job is to end.

        `why`: the name of the timer in the Temporal UI.
        """
        try:
            await workflow.wait_condition(
                lambda: reached() or self.reason is not None,
                timeout=within,
                timeout_summary=why,
            )
        except TimeoutError:
            return False
        self.check()
        return True

    async def sleep(self, duration: timedelta, why: str) -> None:
        await self.until(lambda: False, duration, why)

    def check(self) -> None:
        if self.reason is not None:
            raise Interrupted

    async def finish(self, started: Started[T], *, ours: str | None = None) -> T:
        """Return the activity's result; raise StageFailed with our code.

        If the job is to end, stop the activity, await its end, and raise Interrupted, even if it
        succeeded in the meantime. `ours`: the generation that it submits.
        """
        await self.until_any(started.handle.done)
        if not started.handle.done():
            started.handle.cancel()
        try:
            result = await to_its_end(started, ours=ours)
        except StageFailed as failure:
            if self.reason is None:
                raise
            raise Interrupted(in_doubt=failure.in_doubt, tasks=failure.tasks) from failure
        if self.reason is not None:
            vendor_id = result.vendor_id if isinstance(result, Accepted | Stored) else None
            raise Interrupted(in_doubt=True, tasks=_tasks(ours, vendor_id))
        return result


async def drop(started: Started[T]) -> None:
    """Stop an activity whose result is not needed any more, without waiting for it."""
    started.handle.cancel()
    try:
        await started.handle
    except ActivityError:
        return


async def to_its_end(started: Started[T], *, ours: str | None = None) -> T:
    """Return the result of work that continues even if the job is to end; raise StageFailed."""
    try:
        return started.kind.validate_python(await started.handle)
    except ValidationError:
        message = "The activity was completed by hand, with an invalid result."
        raise StageFailed(BAD_COMPLETION, message) from None
    except ActivityError as error:
        left = _left(error.cause)
        code, message = _reason(error)
        tasks = _tasks(ours, left.vendor_id)
        raise StageFailed(code, message, in_doubt=left.in_doubt, tasks=tasks) from error


def _tasks(ours: str | None, vendor_id: str | None) -> Tasks:
    return {ours: vendor_id} if ours and vendor_id else NONE


def _reason(error: ActivityError) -> tuple[str, str]:
    cause = error.cause
    if isinstance(cause, ApplicationError):
        return cause.type or "internal", cause.message
    return UNCLASSED, f"{error.activity_type}: {cause or error}"


def _left(cause: BaseException | None) -> Left:
    """Return what the last try reports, or its last heartbeat if it died; otherwise in doubt.

    The server itself ends an activity that waits for its next try, and reports nothing of earlier
    tries.
    """
    reported: object = None
    if isinstance(cause, ActivityTimedOut):
        # The first part of a heartbeat is the acceptance.
        reported = next(iter(cause.last_heartbeat_details), None)
    elif isinstance(cause, ApplicationError):
        reported = next(reversed(cause.details), None)
    try:
        return Left.model_validate(
            {"in_doubt": True, **(reported if isinstance(reported, dict) else {})}
        )
    except ValidationError:
        return Left(in_doubt=True)
