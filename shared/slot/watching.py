"""How a run closed, by the server's word alone."""

from temporalio.client import Client, WorkflowExecutionStatus, WorkflowFailureError
from temporalio.exceptions import TerminatedError, TimeoutError
from temporalio.service import RPCError

from shared.slot.messages import Closed, RunRef
from shared.temporal.refusals import is_no_run

ABNORMAL = {
    WorkflowExecutionStatus.TERMINATED: Closed.TERMINATED,
    WorkflowExecutionStatus.TIMED_OUT: Closed.TIMED_OUT,
}


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
