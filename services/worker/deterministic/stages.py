"""The activities of a job's stages as the workflow starts them: their limits and retries."""

from datetime import timedelta
from typing import TypeVar

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from services.worker.margins import DRAIN_MARGIN
    from services.worker.models import (
        COLLECT_VIDEO,
        FETCH_VIDEO,
        GEN_IMAGE,
        HOLD_SLOT,
        LEFT_BEHIND,
        REQUEST_VIDEO,
        Accepted,
        JobLimits,
        Kept,
        Left,
        Order,
        Stored,
        VideoOrder,
        VideoWatch,
    )
    from services.worker.policies import (
        LOCAL_TIMEOUT,
        REQUEST_RETRY_POLICY,
        RETRY_POLICY,
        SUBMIT_TIMEOUT,
        TRANSFER_TIMEOUT,
        TURN_TIMEOUT,
    )
    from shared.jobs.messages import Message
    from shared.slot.messages import DRAIN_ACTIVITY, Drain, Permit

T = TypeVar("T")
# A submit is awaited to its end, whatever becomes of the job.
TO_ITS_END = workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED
AT_ONCE = workflow.ActivityCancellationType.TRY_CANCEL


def is_repeated() -> bool:
    """Whether a run before this one has had the same job: it was reset."""
    info = workflow.info()
    return info.run_id != info.first_execution_run_id


def start_hold(order: Order) -> workflow.ActivityHandle[Permit]:
    """Wait for the slot, without anything to begin with."""
    return _start(
        HOLD_SLOT, order, Permit, "wait for the slot", TURN_TIMEOUT, beats=order.pace.times.work
    )


def start_image(order: Order) -> workflow.ActivityHandle[Stored]:
    """One attempt at an image, from the wait for its turn to the stored file."""
    summary, limit = f"{order.step}, attempt {order.attempt}", TURN_TIMEOUT + _time_for(order)
    return _start(GEN_IMAGE, order, Stored, summary, limit, beats=order.pace.times.work)


def start_submit(order: VideoOrder) -> workflow.ActivityHandle[Accepted]:
    """One attempt at the video, up to the vendor's acceptance."""
    summary, beats = f"video, attempt {order.attempt}", order.pace.times.work
    return _start(REQUEST_VIDEO, order, Accepted, summary, SUBMIT_TIMEOUT, beats=beats)


def start_collect(watch: VideoWatch) -> workflow.ActivityHandle[Stored | None]:
    """Wait for an accepted video: seldom heard of, for a callback ends the wait as well. Hinted,
    store it, too."""
    times = watch.order.pace.times
    return _start(
        COLLECT_VIDEO,
        watch,
        Stored | None,  # type: ignore[arg-type]
        "video: it has ended, poll" if watch.hinted else "video: wait for callback, poll",
        _time_for(watch.order),
        beats=times.work if watch.hinted else times.wait,
        cancellation=AT_ONCE,
    )


def start_fetch(watch: VideoWatch) -> workflow.ActivityHandle[Stored | None]:
    """Store a video that has ended, in the workflow task at hand; None where that can't be."""
    return workflow.start_local_activity(
        FETCH_VIDEO,
        watch,
        result_type=Stored | None,  # type: ignore[arg-type]
        summary="video: it has ended, fetch",
        start_to_close_timeout=LOCAL_TIMEOUT,
        retry_policy=RetryPolicy(maximum_attempts=1),
    )


def start_left_behind() -> workflow.ActivityHandle[Left]:
    """What the tries of the stage that is under way have left, before it is stopped."""
    return workflow.start_local_activity(
        LEFT_BEHIND,
        result_type=Left,
        summary="what has the stopped stage left at its vendor?",
        start_to_close_timeout=LOCAL_TIMEOUT,
        retry_policy=REQUEST_RETRY_POLICY,
    )


def start_drain(drain: Drain, limits: JobLimits) -> workflow.ActivityHandle[Kept]:
    """Clear the vendors of the job: until nothing of it runs there, or the bound has passed."""
    summary, limit = "clear the vendors", timedelta(seconds=limits.drain_bound) + DRAIN_MARGIN
    return _start(DRAIN_ACTIVITY, drain, Kept, summary, limit, beats=limits.pace.times.work)


def _start(
    name: str,
    argument: Message,
    result: type[T],
    summary: str,
    limit: timedelta,
    *,
    beats: timedelta,
    cancellation: workflow.ActivityCancellationType = TO_ITS_END,
) -> workflow.ActivityHandle[T]:
    return workflow.start_activity(
        name,
        argument,
        result_type=result,
        summary=summary,
        start_to_close_timeout=limit,
        heartbeat_timeout=beats,
        retry_policy=RETRY_POLICY,
        cancellation_type=cancellation,
    )


def _time_for(order: Order) -> timedelta:
    return timedelta(seconds=order.give_up_seconds) + TRANSFER_TIMEOUT
