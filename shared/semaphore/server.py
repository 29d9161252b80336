"""What the server says: of a run, of a try, of an error, of an event; read without trust."""

import re
from typing import TypeVar

from pydantic import TypeAdapter
from temporalio import activity
from temporalio.api.common.v1 import Payloads
from temporalio.api.enums.v1 import EventType
from temporalio.api.errordetails.v1 import NamespaceNotFoundFailure
from temporalio.client import (
    Client,
    WorkflowContinuedAsNewError,
    WorkflowExecutionStatus,
    WorkflowFailureError,
)
from temporalio.converter import DataConverter
from temporalio.exceptions import TerminatedError, TimeoutError
from temporalio.service import RPCError, RPCStatusCode

from .messages import Closed, RunRef, SlotRequest

T = TypeVar("T")
ABNORMAL = {
    WorkflowExecutionStatus.TERMINATED: Closed.TERMINATED,
    WorkflowExecutionStatus.TIMED_OUT: Closed.TIMED_OUT,
}
ENDS = {
    EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED: "activity_task_completed_event_attributes",
    EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED: "activity_task_failed_event_attributes",
    EventType.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT: "activity_task_timed_out_event_attributes",
    EventType.EVENT_TYPE_ACTIVITY_TASK_CANCELED: "activity_task_canceled_event_attributes",
}
# Seconds for which a place is kept: beside what its activities may run on; after an end from
# outside at least, for local activities; where nothing is known, for the SDK holds heartbeats back
# for up to a minute.
MARGIN, LEAST, UNKNOWN = 1.0, 3.0, 60.0
_NAMESPACE = re.compile(r"Namespace \S+ is not found")


async def until_closed(client: Client, run: RunRef) -> Closed:
    """Wait by long poll until exactly this run has closed."""
    handle = client.get_workflow_handle(run.job_id, run_id=run.run_id)
    try:
        await handle.result(follow_runs=False)
    except WorkflowContinuedAsNewError:
        # Its next run is another one, and asks for itself.
        return Closed.ORDERLY
    except WorkflowFailureError as failure:
        if isinstance(failure.cause, TerminatedError):
            return Closed.TERMINATED
        if isinstance(failure.cause, TimeoutError):
            return Closed.TIMED_OUT
    except RPCError as error:
        if not is_no_run(error):
            raise
        return Closed.UNKNOWN
    return Closed.ORDERLY


async def closed_by_now(client: Client, run: RunRef) -> Closed | None:
    """How a run has closed, None while it is open."""
    handle = client.get_workflow_handle(run.job_id, run_id=run.run_id)
    try:
        status = (await handle.describe()).status
    except RPCError as error:
        if not is_no_run(error):
            raise
        return Closed.UNKNOWN
    if status is None or status is WorkflowExecutionStatus.RUNNING:
        return None
    return ABNORMAL.get(status, Closed.ORDERLY)


async def grace_of(client: Client, request: SlotRequest, closed: Closed) -> float | None:
    """The seconds for which the place of a run that has closed is kept; None where a clean-up of
    its own finds that out.

    An activity hears that its run has closed at its next heartbeat. One without heartbeats works on
    until its own time is over; one that a time-out cannot end is given `UNKNOWN`, as a run is that
    the server does not know any more.
    """
    if request.clean_up is not None:
        return None
    left = UNKNOWN if closed is Closed.UNKNOWN else await _left(client, request.run)
    if closed is Closed.ORDERLY and not left:
        return 0.0
    if request.grace is not None:
        return request.grace
    return max(left + MARGIN if left else 0.0, 0.0 if closed is Closed.ORDERLY else LEAST)


async def _left(client: Client, run: RunRef) -> float:
    """For how long, after a run has closed, its activities may run on; 0 where none ran."""
    running: dict[int, float] = {}
    handle = client.get_workflow_handle(run.job_id, run_id=run.run_id)
    try:
        async for event in handle.fetch_history_events():
            scheduled = event.activity_task_scheduled_event_attributes
            if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
                limits = (scheduled.heartbeat_timeout, scheduled.start_to_close_timeout)
                seconds = [each.ToTimedelta().total_seconds() for each in limits]
                running[event.event_id] = next((each for each in seconds if each), UNKNOWN)
            elif (name := ENDS.get(event.event_type)) is not None:
                running.pop(getattr(event, name).scheduled_event_id, None)
    except RPCError as error:
        if not is_no_run(error):
            raise
        return UNKNOWN
    return max(running.values(), default=0.0)


def is_first_try() -> bool:
    """Whether no try of the calling activity was begun before.

    An operator's reset sets the number of the try back to 1, but not the time of its scheduling.
    """
    info = activity.info()
    return info.attempt == 1 and info.current_attempt_scheduled_time == info.scheduled_time


def names_namespace(error: RPCError) -> bool:
    """Whether it is the namespace that the server doesn't know, by details or, on a way that loses
    those, by words."""
    if error.status is not RPCStatusCode.NOT_FOUND:
        return False
    details = error.grpc_status.details
    return bool(_NAMESPACE.match(error.message)) or any(
        each.Is(NamespaceNotFoundFailure.DESCRIPTOR) for each in details
    )


def is_gone(error: RPCError) -> bool:
    """Whether the server knows no such run.

    A namespace that it does not know is the same status, and tells nothing of the run.
    """
    return error.status is RPCStatusCode.NOT_FOUND and not names_namespace(error)


def is_no_run(error: RPCError) -> bool:
    """Whether no run can be meant: the server knows none, or takes the id for none."""
    return is_gone(error) or error.status is RPCStatusCode.INVALID_ARGUMENT


async def read_one(converter: DataConverter, payloads: Payloads, kind: type[T]) -> T | None:
    """The single payload of an event; None where there is none, or it is something else."""
    if len(payloads.payloads) != 1:
        return None
    try:
        [value] = await converter.decode(payloads.payloads)
        return TypeAdapter(kind).validate_python(value)
    except Exception:  # what a converter or a codec raises is open
        return None
