"""Read the server's answers about runs, tries, errors and events, and check them."""

import asyncio
import re
from typing import TypeVar

from pydantic import TypeAdapter
from temporalio.api.common.v1 import Payloads
from temporalio.api.enums.v1 import EventType
from temporalio.api.errordetails.v1 import NamespaceNotFoundFailure
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHistoryEventFilterType
from temporalio.converter import DataConverter
from temporalio.service import RPCError, RPCStatusCode

from .messages import YEAR, Closed, RunRef, SlotRequest, granted_signal

T = TypeVar("T")
SCHEDULED = "activity_task_scheduled_event_attributes"
ENDS = tuple(
    f"activity_task_{end}_event_attributes"
    for end in ("completed", "failed", "timed_out", "canceled")
)
# An orderly end is one that the run's own code has made.
CLOSED = {
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED: Closed.ORDERLY,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED: Closed.ORDERLY,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED: Closed.ORDERLY,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED: Closed.TERMINATED,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT: Closed.TIMED_OUT,
}
TIMED_OUT = WorkflowExecutionStatus.TIMED_OUT
PAUSED_SECONDS = 1.0
# How long a place is kept: beyond the time of its activities; at least, for local activities; if
# nothing is known, because the SDK holds heartbeats back for up to a minute.
MARGIN, LEAST, UNKNOWN = 1.0, 3.0, 60.0
UNREACHABLE = "The run has had too many signals to get its permit."
_NAMESPACE = re.compile(r"Namespace \S+ is not found")


async def until_closed(client: Client, run: RunRef) -> Closed:
    """Wait by long poll until exactly this run has closed.

    What it returns is not decoded, because it may be encrypted, or foreign. The next run of its
    chain is another run, and requests for itself.
    """
    handle = client.get_workflow_handle(run.job_id, run_id=run.run_id)
    try:
        while True:
            async for event in handle.fetch_history_events(
                wait_new_event=True, event_filter_type=WorkflowHistoryEventFilterType.CLOSE_EVENT
            ):
                if event.event_type in CLOSED:
                    return CLOSED[event.event_type]
                if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW:
                    # The server also says so of a time-out, if a retry or a cron schedule follows.
                    status = (await handle.describe()).status
                    return Closed.TIMED_OUT if status is TIMED_OUT else Closed.ORDERLY
            # The poll of a paused run returns at once.
            await asyncio.sleep(PAUSED_SECONDS)
    except RPCError as error:
        if not is_no_run(error):
            raise
        return Closed.UNKNOWN


async def is_open(client: Client, run: RunRef) -> bool:
    """True if exactly this run is open."""
    handle = client.get_workflow_handle(run.job_id, run_id=run.run_id)
    try:
        return (await handle.describe()).status is WorkflowExecutionStatus.RUNNING
    except RPCError as error:
        if not is_no_run(error):
            raise
        return False


async def end_unreachable(client: Client, name: str, run: RunRef) -> None:
    """Terminate a run that the server takes no signals for, before it had any permit.

    It has had the most that the server allows, so it would hold its place for ever without knowing.
    """
    if await _activity_time_left(client, name, run) is None:
        handle = client.get_workflow_handle(run.job_id, run_id=run.run_id)
        await handle.terminate(reason=UNREACHABLE)


async def grace_of(client: Client, name: str, request: SlotRequest, closed: Closed) -> float | None:
    """Return for how many seconds the place of a closed run is kept: 0 if it left nothing, None if
    its clean-up finds that out."""
    is_orderly = closed is Closed.ORDERLY
    if is_orderly and request.clean_up is not None:
        return 0.0
    left = await _activity_time_left(client, name, request)
    if left is None or (is_orderly and not left):
        return 0.0
    if request.clean_up is not None:
        return None
    return min(max(left + MARGIN, LEAST), YEAR) if request.grace is None else request.grace


async def _activity_time_left(client: Client, name: str, run: RunRef) -> float | None:
    """Return for how many seconds the activities of a closed run may run on; 0 if none ran, None if
    the run never received a permit, so that it has begun nothing.

    An activity learns at its next heartbeat that its run has closed. One without heartbeats works
    until its time-out; one without a time-out gets `UNKNOWN`, like a run that the server does not
    know.
    """
    running: dict[int, float] = {}
    has_permit = False
    handle = client.get_workflow_handle(run.job_id, run_id=run.run_id)
    try:
        async for event in handle.fetch_history_events():
            kind = event.WhichOneof("attributes")
            signal = event.workflow_execution_signaled_event_attributes.signal_name
            has_permit = has_permit or signal == granted_signal(name)
            if kind == SCHEDULED:
                task = event.activity_task_scheduled_event_attributes
                limits = (task.heartbeat_timeout, task.start_to_close_timeout)
                seconds = [each.ToTimedelta().total_seconds() for each in limits]
                running[event.event_id] = next((each for each in seconds if each), UNKNOWN)
            elif kind in ENDS:
                running.pop(getattr(event, kind).scheduled_event_id, None)
    except RPCError as error:
        if not is_no_run(error):
            raise
        return UNKNOWN
    return max(running.values(), default=0.0) if has_permit else None


def names_namespace(error: RPCError) -> bool:
    """True if the server does not know the namespace, by the error's details or its words."""
    if error.status is not RPCStatusCode.NOT_FOUND:
        return False
    details = error.grpc_status.details
    return bool(_NAMESPACE.match(error.message)) or any(
        each.Is(NamespaceNotFoundFailure.DESCRIPTOR) for each in details
    )


def is_gone(error: RPCError) -> bool:
    """True if the server knows no such run.

    An unknown namespace has the same status, and says nothing about the run.
    """
    return error.status is RPCStatusCode.NOT_FOUND and not names_namespace(error)


def is_no_run(error: RPCError) -> bool:
    """True if there is no such run, or the server refuses the id."""
    return is_gone(error) or error.status is RPCStatusCode.INVALID_ARGUMENT


async def read_one(converter: DataConverter, payloads: Payloads, kind: type[T]) -> T | None:
    """Return the single payload of an event, or None."""
    if len(payloads.payloads) != 1:
        return None
    try:
        [value] = await converter.decode(payloads.payloads)
        return TypeAdapter(kind).validate_python(value)
    except Exception:  # a converter or a codec can raise anything
        return None
