"""Why a job is to end early, as a state that every wait of its code looks at.

The job's own task is never cancelled by asyncio, so that no wait can lose a cancellation, be torn
by it, or hear of it twice. No other module awaits an activity.
"""

import asyncio
from collections.abc import Callable, Mapping
from datetime import timedelta
from enum import StrEnum
from typing import TypeVar

from pydantic import ValidationError
from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError
from temporalio.exceptions import TimeoutError as ActivityTimedOut

with workflow.unsafe.imports_passed_through():
    from shared.pipeline.messages import Accepted, JobLimits, Left, Stored
    from shared.pipeline.starting import Started, check_not_reset

T = TypeVar("T")
# A vendor's ids by ours.
Tasks = Mapping[str, str]
NONE: Tasks = {}

# An activity that failed in no way of ours: a time-out of Temporal's, say.
UNCLASSED = "activity_failed"
# An operator completed it with a result that is none.
BAD_COMPLETION = "bad_completion"


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
    """An activity failed in a way that no retry of delivery mends; the rest as of Interrupted.

    In doubt unless the failure itself says that nothing was left.
    """

    def __init__(
        self, code: str, message: str, *, in_doubt: bool = True, tasks: Tasks = NONE
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.in_doubt = in_doubt
        self.tasks = tasks


class Cancellation:
    """Owns the reason, and all waiting that heeds it."""

    def __init__(self) -> None:
        self.reason: Reason | None = None
        self.is_reset = False

    def request(self, reason: Reason) -> None:
        """The job is to end; a later reason changes nothing."""
        self.reason = self.reason or reason

    async def watch(self, work: asyncio.Task[None]) -> None:
        """Wait for the job's work and for all that its handlers do; the workflow's cancellation,
        which arrives here and nowhere else, becomes the reason. A run that was reset fails."""
        while True:
            try:
                await workflow.wait_condition(
                    lambda: self.is_reset or (work.done() and workflow.all_handlers_finished())
                )
            except asyncio.CancelledError:
                self.request(Reason.CANCELLED)
            else:
                check_not_reset()
                return work.result()

    def reset(self, _seed: int) -> None:
        """The server gives a run another seed when it was reset, at that place of its history, so
        that a replay finds it there, too."""
        self.is_reset = True

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

    async def finish(self, started: Started[T], *, ours: str | None = None) -> T:
        """The activity's result; StageFailed with our code.

        Where the job is to end the activity is stopped, its end is awaited, and Interrupted raised,
        also where it ended well in the meantime. `ours`: the generation that it submits.
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
    """The result of what is done whether the job is to end or not; StageFailed without."""
    try:
        return started.kind.validate_python(await started.handle)
    except ValidationError:
        message = "The activity was completed by hand, with a result that is none."
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
    """By the last try's own word, or what was heard of one that has died; in doubt otherwise.

    The server itself ends an activity that waits for its next try, and tells nothing of the tries
    before.
    """
    told: object = None
    if isinstance(cause, ActivityTimedOut):
        # Of a heartbeat, whose first part is the acceptance.
        told = next(iter(cause.last_heartbeat_details), None)
    elif isinstance(cause, ApplicationError):
        told = next(reversed(cause.details), None)
    try:
        return Left.model_validate({"in_doubt": True, **(told if isinstance(told, dict) else {})})
    except ValidationError:
        return Left(in_doubt=True)


class Limits:
    """Of one job, fixed when it enters the queue; the whole of it is timed from the slot on."""

    def __init__(self, cancellation: Cancellation) -> None:
        self._cancellation = cancellation
        self._timer: asyncio.Task[None] | None = None
        # None until the job has entered the queue: a cancel may come before.
        self.known: JobLimits | None = None

    @property
    def all(self) -> JobLimits:
        """Those of a job that has entered the queue."""
        if self.known is None:
            raise RuntimeError("nothing begins before the limits are known")
        return self.known

    def start_timer(self) -> None:
        """The slot is held, which is when the job's own time begins; it ends with the run."""
        self._timer = asyncio.create_task(self._run_out(self.all.job_seconds))

    async def _run_out(self, seconds: float) -> None:
        most = timedelta(seconds=seconds)
        await workflow.sleep(most, summary=f"the job may take {most} from the slot on")
        self._cancellation.request(Reason.TIME_IS_UP)
