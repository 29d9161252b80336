"""The activities of a job as its workflow starts them: their limits and retries."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter
from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError, FailureError

with workflow.unsafe.imports_passed_through():
    from services.worker.models import (
        COLLECT_VIDEO,
        FETCH_VIDEO,
        GEN_IMAGE,
        REQUEST_VIDEO,
        Accepted,
        JobLimits,
        Kept,
        Order,
        Stored,
        VideoOrder,
        VideoWatch,
    )
    from services.worker.policies import (
        DRAIN_MARGIN,
        LOCAL_TIMEOUT,
        RETRY_POLICY,
        SUBMIT_TIMEOUT,
        TRANSFER_TIMEOUT,
    )
    from shared.jobs.closing import MESSAGES, RESET
    from shared.jobs.messages import Message
    from shared.pipeline.definition import DRAIN_ACTIVITY
    from shared.semaphore.messages import Drain

T = TypeVar("T")
# A submit is awaited to its end, whatever becomes of the job.
TO_ITS_END = workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED
AT_ONCE = workflow.ActivityCancellationType.TRY_CANCEL


@dataclass(frozen=True)
class Started(Generic[T]):
    """An activity that has begun; its result is validated, because an operator can complete it."""

    handle: workflow.ActivityHandle[Any]
    kind: TypeAdapter[T]


class LocalFailed(Exception):
    """A local activity failed in all its tries.

    Its failure arrives as the error itself, and not inside an ActivityError as others do.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{message} ({code})")
        self.code = code
        self.message = message


IMAGE, VIDEO = TypeAdapter(Stored), TypeAdapter[Stored | None](Stored | None)
ACCEPTED, KEPT = TypeAdapter(Accepted), TypeAdapter(Kept)


def check_not_reset() -> None:
    """Fail a run that was reset before it begins anything of its own: `reset_not_supported`.

    It has replayed by then what the run before it did, whose leftovers the semaphore clears.
    """
    if getattr(workflow.instance(), "is_reset", False):
        raise ApplicationError(MESSAGES[RESET], type=RESET, non_retryable=True)


def start_image(order: Order) -> Started[Stored]:
    """One attempt at an image, from the submit to the stored file."""
    summary, beats = f"{order.step}, attempt {order.attempt}", order.pace.times.work
    return _start(GEN_IMAGE, order, IMAGE, summary, _time_for(order), beats=beats)


def start_submit(order: VideoOrder) -> Started[Accepted]:
    """One attempt at the video, up to the vendor's acceptance."""
    summary, beats = f"video, attempt {order.attempt}", order.pace.times.work
    return _start(REQUEST_VIDEO, order, ACCEPTED, summary, SUBMIT_TIMEOUT, beats=beats)


def start_collect(watch: VideoWatch) -> Started[Stored | None]:
    """Wait for an accepted video: seldom heard of, for a callback ends the wait as well. Hinted,
    store it, too."""
    times = watch.order.pace.times
    return _start(
        COLLECT_VIDEO,
        watch,
        VIDEO,
        "video: it has ended, poll" if watch.hinted else "video: wait for callback, poll",
        _time_for(watch.order),
        beats=times.work if watch.hinted else times.wait,
        cancellation=AT_ONCE,
    )


def start_drain(drain: Drain, limits: JobLimits) -> Started[Kept]:
    """Clear the vendors of the job: until nothing of it runs there, or the bound has passed."""
    summary, limit = "clear the vendors", timedelta(seconds=limits.drain_bound) + DRAIN_MARGIN
    return _start(DRAIN_ACTIVITY, drain, KEPT, summary, limit, beats=limits.pace.times.work)


def _start(
    name: str,
    argument: Message,
    kind: TypeAdapter[T],
    summary: str,
    limit: timedelta,
    *,
    beats: timedelta,
    cancellation: workflow.ActivityCancellationType = TO_ITS_END,
) -> Started[T]:
    check_not_reset()
    handle = workflow.start_activity(
        name,
        argument,
        summary=summary,
        start_to_close_timeout=limit,
        heartbeat_timeout=beats,
        retry_policy=RETRY_POLICY,
        cancellation_type=cancellation,
    )
    return Started(handle, kind)


def _time_for(order: Order) -> timedelta:
    return timedelta(seconds=order.give_up_seconds) + TRANSFER_TIMEOUT


async def fetch(watch: VideoWatch) -> Stored | None:
    """Store a video that has ended, in the workflow task at hand; None where that can't be."""
    once = RetryPolicy(maximum_attempts=1)
    kind: type[Stored] = Stored | None  # type: ignore[assignment]
    return await local(FETCH_VIDEO, watch, kind, summary="video: it has ended, fetch", retry=once)


async def local(
    name: str, argument: Message, kind: type[T], *, summary: str, retry: RetryPolicy
) -> T:
    """The result of a local activity, awaited whether the job is to end or not; LocalFailed."""
    check_not_reset()
    try:
        result: T = await workflow.execute_local_activity(
            name,
            argument,
            result_type=kind,
            summary=summary,
            start_to_close_timeout=LOCAL_TIMEOUT,
            retry_policy=retry,
        )
    except FailureError as error:
        cause = error.cause if not isinstance(error, ApplicationError) else error
        code = cause.type if isinstance(cause, ApplicationError) and cause.type else "internal"
        raise LocalFailed(code, str(cause or error)) from error
    return result
