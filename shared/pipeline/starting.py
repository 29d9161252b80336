"""A job's activities as its workflow starts them: limits and retries."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter
from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError, FailureError

from shared.jobs.messages import Message
from shared.pipeline.definition import DRAIN_ACTIVITY
from shared.pipeline.messages import Accepted, JobLimits, Kept, Order, Stored, Watch
from shared.pipeline.policies import (
    DRAIN_MARGIN,
    KEEP_MARGIN,
    LOCAL_TIMEOUT,
    RETRY_POLICY,
    SUBMIT_TIMEOUT,
    TRANSFER_TIMEOUT,
)
from shared.semaphore.messages import Drain

T = TypeVar("T")
# A vendor's ids by ours.
Tasks = Mapping[str, str]
NONE: Tasks = {}
# A submit is awaited to its end, whatever happens to the job.
TO_ITS_END = workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED
AT_ONCE = workflow.ActivityCancellationType.TRY_CANCEL


@dataclass(frozen=True)
class Started(Generic[T]):
    """A started activity. Its result is validated, because an operator can complete it."""

    handle: workflow.ActivityHandle[Any]
    kind: TypeAdapter[T]


class StageFailed(Exception):
    """An activity failed in a way that no delivery retry fixes.

    `in_doubt`: it may have left something at a vendor, or on its way there; true unless the failure
    itself says otherwise. `tasks`: the accepted generations, the vendor's id by ours.
    """

    def __init__(
        self, code: str, message: str, *, in_doubt: bool = True, tasks: Tasks = NONE
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.in_doubt = in_doubt
        self.tasks = tasks


STORED, COLLECTED = TypeAdapter(Stored), TypeAdapter[Stored | None](Stored | None)
ACCEPTED, KEPT = TypeAdapter(Accepted), TypeAdapter(Kept)


def start_attempt(order: Order, kind: TypeAdapter[T]) -> Started[T]:
    """Start one attempt at a stage: up to the stored file (STORED), or for a called back stage up
    to the vendor's acceptance (ACCEPTED)."""
    summary, beats = f"{order.stage}, attempt {order.attempt}", order.pace.times.work
    name, limit = f"gen_{order.stage}", _time_for(order)
    if kind is ACCEPTED:
        name, limit = f"request_{order.stage}", SUBMIT_TIMEOUT
    return _start(name, order, kind, summary, limit, beats=beats)


def start_collect(watch: Watch, kind: TypeAdapter[T]) -> Started[T]:
    """Wait for an accepted generation, with rare heartbeats, because a callback ends the wait as
    well (COLLECTED); hinted, store it, too (STORED)."""
    stage, times = watch.order.stage, watch.order.pace.times
    return _start(
        f"collect_{stage}",
        watch,
        kind,
        f"{stage}: it has ended, poll" if watch.hinted else f"{stage}: wait for callback, poll",
        _time_for(watch.order),
        beats=times.work if watch.hinted else times.wait,
        cancellation=AT_ONCE,
    )


def start_drain(drain: Drain, limits: JobLimits) -> Started[Kept]:
    """Start the clean-up: until nothing of the job runs at the vendors, or the bound has passed."""
    summary, margin = "clear the vendors", DRAIN_MARGIN + len(limits.stages) * KEEP_MARGIN
    limit = timedelta(seconds=limits.drain_seconds + limits.accept_seconds) + margin
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
    return timedelta(seconds=order.limits.give_up) + TRANSFER_TIMEOUT


async def fetch(watch: Watch) -> Stored | None:
    """Store an ended generation in this workflow task; return None if that can't be done."""
    once = RetryPolicy(maximum_attempts=1)
    kind: type[Stored] = Stored | None  # type: ignore[assignment]
    stage = watch.order.stage
    summary = f"{stage}: it has ended, fetch"
    return await local(f"fetch_{stage}", watch, kind, summary=summary, retry=once)


async def local(
    name: str, argument: Message, kind: type[T], *, summary: str, retry: RetryPolicy
) -> T:
    """Return the result of a local activity, awaited even if the job is to end; raise StageFailed.

    Its failure arrives as the error itself, not inside of an ActivityError.
    """
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
        raise StageFailed(code, str(cause or error)) from error
    return result
