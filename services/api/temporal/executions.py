"""What Temporal knows of a job, as a record: its input, its state, and an end from outside."""

from temporalio.client import (
    WorkflowExecution,
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
    WorkflowFailureError,
)
from temporalio.exceptions import ApplicationError, CancelledError, FailureError

from services.api.temporal.client import ABNORMAL, MEMO_INPUT, RPC_TIMEOUT, Temporal
from shared.jobs.closing import RESET, close_record
from shared.jobs.messages import JobError, JobInput, Record
from shared.jobs.states import Status
from shared.temporal.client import answer


async def input_of(found: WorkflowExecution) -> JobInput:
    """What a job was started with; a job that was started elsewhere may carry no memo."""
    return await found.memo_value(
        MEMO_INPUT, default=JobInput(prompt="(not recorded)", style=""), type_hint=JobInput
    )


async def first_record(found: WorkflowExecution) -> Record:
    """A job before its first change, from what it was started with; ValueError without a memo."""
    job = await input_of(found)
    return Record.of(
        job,
        job_id=found.id,
        run_id=found.run_id,
        created_at=found.start_time,
        namespace=found.namespace,
    )


async def from_workflow(temporal: Temporal, found: WorkflowExecutionDescription) -> Record:
    """The record as the workflow tells it, with an end that it had no code left to record.

    A run that was reset can't be asked, because its replay deviates on purpose: the first one is.
    """
    first = found.raw_description.workflow_execution_info.first_run_id
    if first in ("", found.run_id):
        return closed(await temporal.record(found.id), found.status)
    record = await temporal.record(found.id, first)
    if found.status is WorkflowExecutionStatus.RUNNING or record.status.ended:
        return record
    return close_record(record, RESET)


def closed(record: Record, status: WorkflowExecutionStatus | None) -> Record:
    """The record with its end, where the job was ended from outside."""
    if status in ABNORMAL and not record.status.ended:
        return close_record(record, ABNORMAL[status])
    return record


async def outcome(temporal: Temporal, found: WorkflowExecutionDescription) -> dict[str, object]:
    """The fields of a closed job that tell how it ended, from its last history event."""
    try:
        end = await answer(temporal.handle(found.id).result(rpc_timeout=RPC_TIMEOUT))
    except WorkflowFailureError as failure:
        return _failed(failure.cause)
    return {
        "status": end.status,
        "step": end.step,
        "percent": end.percent,
        "asset_url": end.asset_url,
        "attempts": end.attempts,
        "version": end.version,
    }


def _failed(cause: BaseException) -> dict[str, object]:
    if isinstance(cause, CancelledError):
        error = JobError(code="cancelled", message="The job was cancelled.")
        return {"status": Status.CANCELLED, "error": error}
    code = cause.type if isinstance(cause, ApplicationError) and cause.type else None
    message = cause.message if isinstance(cause, FailureError) else str(cause)
    name = type(cause).__name__.removesuffix("Error").lower()
    return {"status": Status.FAILED, "error": JobError(code=code or name, message=message)}
