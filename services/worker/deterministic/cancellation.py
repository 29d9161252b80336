"""Why a job is to end early, as a state that every wait of its code looks at.

The job's own task is never cancelled by asyncio, so that no wait can lose a cancellation, be torn
by it, or hear of it twice. No other module awaits an activity.
"""

import asyncio
from collections.abc import Callable, Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception
from temporalio.exceptions import TimeoutError as ActivityTimedOut

with workflow.unsafe.imports_passed_through():
    from services.worker.deterministic import stages
    from services.worker.models import LEFT_BEHIND, Accepted, Left, Stored

T = TypeVar("T")
# A vendor's ids by ours.
Tasks = Mapping[str, str]
NONE: Tasks = {}
NOTHING = Left(in_doubt=False)

# A patch: a job that is to end begins no attempt that it would have to stop.
BEGINS_NOTHING = "begins_nothing"
# An activity that failed in no way of ours: a time-out of Temporal's, say.
UNCLASSED = "activity_failed"


class Reason(StrEnum):
    """Why a job ends early; the first one counts."""

    CANCELLED = "cancelled"
    TIME_IS_UP = "time is up"


class Interrupted(Exception):
    """A wait has ended since the job is to end.

    `in_doubt`: what was awaited may have left something at a vendor, or on its way there. `tasks`:
    what a vendor has accepted of it, its id by ours.
    """

    def __init__(self, *, in_doubt: bool = False, tasks: Tasks = NONE) -> None:
        super().__init__()
        self.in_doubt = in_doubt
        self.tasks = tasks


class StageFailed(Exception):
    """An activity failed in a way that no retry of delivery mends; `tasks` as of Interrupted."""

    def __init__(self, code: str, message: str, tasks: Tasks = NONE) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.tasks = tasks


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

    async def until(
        self, reached: Callable[[], bool], within: timedelta | None = None, why: str | None = None
    ) -> bool:
        """Whether something was reached within the time; Interrupted where the job is to end.

        `why`: what Temporal's UI calls the timer.
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
        """Wait for so long; Interrupted where the job is to end."""
        await self.until(lambda: False, duration, why)

    def check(self) -> None:
        """Interrupted where the job is to end."""
        if self.reason is not None:
            raise Interrupted

    def check_first(self) -> None:
        """As check, before an attempt: what is awaited before it may have come to its end in the
        same step in which the run heard of the reason."""
        if self.reason is not None and workflow.patched(BEGINS_NOTHING):
            raise Interrupted

    async def finish(self, handle: workflow.ActivityHandle[T], *, ours: str | None = None) -> T:
        """The activity's result; StageFailed with our code.

        Where the job is to end the activity is stopped, its end is awaited, and Interrupted raised,
        also where it ended well in the meantime. `ours`: the generation that it submits.
        """
        await self.until_any(handle.done)
        before = NOTHING
        # Not whether it has ended decides: a query may let this run see its cancellation first
        # that a replay sees together with that end.
        if self.reason is not None and ours is not None and workflow.patched(LEFT_BEHIND):
            try:
                before = await to_its_end(stages.start_left_behind())
            except ActivityError:
                # What can't be read (a payload of another key, say) may tell of a submit.
                before = Left(in_doubt=True)
        if not handle.done():
            handle.cancel()
        try:
            result = await handle
        except ActivityError as error:
            left = _left(error, before)
            if self.reason is None:
                raise _failure(error, _tasks(ours, left)) from error
            raise Interrupted(in_doubt=left.in_doubt, tasks=_tasks(ours, left)) from error
        if self.reason is not None:
            vendor_id = result.vendor_id if isinstance(result, Accepted | Stored) else None
            left = Left(in_doubt=True, vendor_id=vendor_id)
            raise Interrupted(in_doubt=True, tasks=_tasks(ours, left))
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


def _failure(error: ActivityError, tasks: Tasks) -> StageFailed:
    cause = error.cause
    if isinstance(cause, ApplicationError):
        return StageFailed(cause.type or "internal", cause.message, tasks)
    return StageFailed(UNCLASSED, f"{error.activity_type}: {cause or error}", tasks)


def _left(error: ActivityError, before: Left) -> Left:
    """By the last try's own word, or what was heard of one that has died; `before`: what the tries
    have left before the activity was stopped, which the server does where none is under way."""
    cause = error.cause
    if is_cancelled_exception(error):
        return before
    told: object = None
    if isinstance(cause, ActivityTimedOut):
        # Of a heartbeat, whose first part is the acceptance.
        told = next(iter(cause.last_heartbeat_details), None)
    elif isinstance(cause, ApplicationError):
        told = next(reversed(cause.details), None)
    return Left.model_validate({"in_doubt": True, **(told if isinstance(told, dict) else {})})


def _tasks(ours: str | None, left: Left) -> Tasks:
    return {ours: left.vendor_id} if ours and left.vendor_id else NONE
