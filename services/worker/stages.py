"""The two stages as the workflow sees them: which activity, which limits, what wakes it."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from services.worker.models import (
        AWAIT_TURN,
        COLLECT_VIDEO,
        GEN_IMAGE,
        REQUEST_VIDEO,
        Accepted,
        Kept,
        Order,
        Stored,
        VideoOrder,
        VideoWatch,
    )
    from services.worker.policies import (
        ARMED_TIMEOUT,
        DRAIN_MARGIN,
        HEARTBEAT_TIMEOUT,
        RETRY_POLICY,
        SUBMIT_TIMEOUT,
        TRANSFER_TIMEOUT,
    )
    from shared.errors import StalePermit
    from shared.messages import KlingDone
    from shared.slots import DRAIN_ACTIVITY, Drain, Permit, RunRef


T = TypeVar("T")
# One attempt at a stage, by its number from 1.
Attempt = Callable[[int], Awaitable[Stored]]


class StageFailed(Exception):
    """A stage's activity failed in a way that no retry of delivery mends."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def start_image(order: Order) -> workflow.ActivityHandle[Stored]:
    """One attempt at the image; an armed one first waits for the run before it to close."""
    armed = order.permit.after is not None
    return workflow.start_activity(
        GEN_IMAGE,
        order,
        result_type=Stored,
        summary=f"image, attempt {order.attempt}" + (", armed" if armed else ""),
        start_to_close_timeout=_time_for(order) + (ARMED_TIMEOUT if armed else timedelta()),
        heartbeat_timeout=HEARTBEAT_TIMEOUT,
        retry_policy=RETRY_POLICY,
        cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    )


def is_repeated() -> bool:
    """Whether a run before this one has had the same job: it was reset."""
    info = workflow.info()
    return info.run_id != info.first_execution_run_id


def start_turn(permit: Permit) -> workflow.ActivityHandle[None]:
    """Wait armed for the run before to close, without an image to begin with."""
    return workflow.start_activity(
        AWAIT_TURN,
        permit,
        summary="armed",
        start_to_close_timeout=ARMED_TIMEOUT,
        heartbeat_timeout=HEARTBEAT_TIMEOUT,
        retry_policy=RETRY_POLICY,
        cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    )


async def finish_turn(turn: workflow.ActivityHandle[None]) -> None:
    """Return when an armed wait has ended; whether the slot is ours, the image's activity says."""
    try:
        await finish(turn)
    except StageFailed as failure:
        if failure.code != StalePermit.code:
            raise


async def drain(run: RunRef, bound: timedelta) -> Kept | None:
    """Return when no generation of the job runs any more, or the bound has passed."""
    kept: Kept | None = await workflow.execute_activity(
        DRAIN_ACTIVITY,
        Drain(job_id=run.job_id, run_id=run.run_id, hold_seconds=0),
        result_type=Kept,
        summary="clear the vendors",
        start_to_close_timeout=bound + DRAIN_MARGIN,
        heartbeat_timeout=HEARTBEAT_TIMEOUT,
        retry_policy=RETRY_POLICY,
    )
    return kept


async def submit_video(order: VideoOrder) -> Accepted:
    """One attempt at the video, up to the vendor's acceptance."""
    return await finish(
        workflow.start_activity(
            REQUEST_VIDEO,
            order,
            result_type=Accepted,
            summary=f"video, attempt {order.attempt}",
            start_to_close_timeout=SUBMIT_TIMEOUT,
            heartbeat_timeout=HEARTBEAT_TIMEOUT,
            retry_policy=RETRY_POLICY,
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
        )
    )


async def await_video(
    order: VideoOrder, accepted: Accepted, callbacks: dict[str, KlingDone]
) -> Stored:
    """The race of callback and poll; whichever comes first wins, the vendor's word decides."""
    polling = _collect(order, accepted, hinted=False)
    try:
        await workflow.wait_condition(lambda: polling.done() or order.external_id in callbacks)
        if polling.done():
            return await finish(polling)
    finally:
        await _give_up(polling)
    return await finish(_collect(order, accepted, hinted=True))


def _collect(
    order: VideoOrder, accepted: Accepted, *, hinted: bool
) -> workflow.ActivityHandle[Stored]:
    return workflow.start_activity(
        COLLECT_VIDEO,
        VideoWatch(order=order, accepted=accepted, hinted=hinted),
        result_type=Stored,
        summary="video: callback came, fetch" if hinted else "video: wait for callback, poll",
        start_to_close_timeout=_time_for(order),
        heartbeat_timeout=HEARTBEAT_TIMEOUT,
        retry_policy=RETRY_POLICY,
        cancellation_type=workflow.ActivityCancellationType.TRY_CANCEL,
    )


def _time_for(order: Order) -> timedelta:
    return timedelta(seconds=order.deadline_seconds) + TRANSFER_TIMEOUT


async def _give_up(handle: workflow.ActivityHandle[Any]) -> None:
    """Stop an activity whose result is not needed any more, without waiting for it."""
    if handle.done():
        return
    handle.cancel()
    try:
        await handle
    except (ActivityError, asyncio.CancelledError):
        return


async def finish(handle: workflow.ActivityHandle[T]) -> T:
    """The activity's result; StageFailed with our code, or CancelledError.

    An activity may end well although it was cancelled; the cancellation holds all the same.
    """
    try:
        result = await handle
    except ActivityError as error:
        if is_cancelled_exception(error):
            raise asyncio.CancelledError from error
        _check_cancelled()
        raise _failure(error) from error
    _check_cancelled()
    return result


def _check_cancelled() -> None:
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def _failure(error: ActivityError) -> StageFailed:
    cause = error.cause
    if isinstance(cause, ApplicationError):
        return StageFailed(cause.type or "internal", cause.message)
    return StageFailed("activity_failed", f"{error.activity_type}: {cause or error}")
