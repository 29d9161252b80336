"""What the server says: of a run, of a try, of an error, of an event; read without trust."""

import re
from typing import TypeVar, get_origin

from temporalio import activity
from temporalio.api.common.v1 import Payloads
from temporalio.api.errordetails.v1 import NamespaceNotFoundFailure
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowFailureError
from temporalio.converter import DataConverter
from temporalio.exceptions import TerminatedError, TimeoutError
from temporalio.service import RPCError, RPCStatusCode

from .messages import Closed, RunRef

T = TypeVar("T")
ABNORMAL = {
    WorkflowExecutionStatus.TERMINATED: Closed.TERMINATED,
    WorkflowExecutionStatus.TIMED_OUT: Closed.TIMED_OUT,
}
_NAMESPACE = re.compile(r"Namespace \S+ is not found")


async def until_closed(client: Client, run: RunRef) -> Closed:
    """Wait by long poll until exactly this run has closed."""
    handle = client.get_workflow_handle(run.job_id, run_id=run.run_id)
    try:
        await handle.result(follow_runs=False)
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
        [value] = await converter.decode(payloads.payloads, [kind])
    except Exception:  # what a converter or a codec raises is open
        return None
    return value if isinstance(value, get_origin(kind) or kind) else None
