"""What the API asks of Temporal, and what Temporal knows of a job, as a record.

Each call is counted and bounded in time, or TemporalUnavailable.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from temporalio.api.common.v1 import WorkflowExecution as Execution
from temporalio.api.workflowservice.v1 import (
    DescribeWorkflowExecutionRequest,
    DescribeWorkflowExecutionResponse,
)
from temporalio.client import (
    Client,
    WorkflowExecution,
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHandle,
)
from temporalio.common import (
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import ApplicationError, CancelledError, FailureError
from temporalio.service import RPCError

from services.api.metrics import TEMPORAL_CALLS
from shared.errors import TemporalUnavailable
from shared.jobs.closing import RESET, close_record
from shared.jobs.genvideo import GENVIDEO
from shared.jobs.messages import UNTAGGED, JobError, Progress, Record
from shared.jobs.states import Status
from shared.pipeline.definition import DRAIN_ACTIVITY, Definition, JobInput
from shared.semaphore.client import start_semaphore
from shared.semaphore.messages import CleanUp, SlotRequest
from shared.semaphore.server import is_gone
from shared.temporal.client import (
    CUSTOM_PROGRESS,
    CUSTOM_TAG,
    GET_RECORD_QUERY,
    QUERY_TIMEOUT,
    WORKFLOW_TASK_TIMEOUT,
    answer,
    summary,
)

T = TypeVar("T")
Handle = WorkflowHandle[object, Progress]

RPC_TIMEOUT = timedelta(seconds=3)
# So many starts are with the server at a time, so that whatever else it is asked stands behind no
# more than these; and for so long one waits for its turn.
STARTS_AT_ONCE = 2
START_PATIENCE = 10.0
MEMO_INPUT = "input"
ABNORMAL = {
    WorkflowExecutionStatus.TERMINATED: "terminated",
    WorkflowExecutionStatus.TIMED_OUT: "timed_out",
}
# A list of what changed is read in pages of so many, and so many of them at the most.
PAGE = 1000
MOST_PAGES = 20


class Temporal:
    """What the API asks of Temporal about jobs."""

    def __init__(self, client: Client, pipelines: Iterable[Definition] = (GENVIDEO,)) -> None:
        self.client = client
        self._pipelines = {each.name: each for each in pipelines}
        self._starts = asyncio.Semaphore(STARTS_AT_ONCE)

    def handle(self, job_id: str) -> Handle:
        """The newest run of a job."""
        return self.client.get_workflow_handle(job_id, result_type=Progress)

    async def start(self, job_id: str, job: JobInput, pipeline: Definition = GENVIDEO) -> None:
        """Start a job's workflow; WorkflowAlreadyStartedError when the id was ever used.

        One of too many starts at once waits, and hears TemporalUnavailable where that lasts.
        """
        attributes = TypedSearchAttributes(
            [
                SearchAttributePair(CUSTOM_PROGRESS, 0),
                SearchAttributePair(CUSTOM_TAG, job.tag or UNTAGGED),
            ]
        )
        async with self._turn_to_start():
            start = self.client.start_workflow(
                pipeline.workflow,
                job,
                id=job_id,
                task_queue=pipeline.name,
                task_timeout=WORKFLOW_TASK_TIMEOUT,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                memo={MEMO_INPUT: job, **pipeline.memo(job.priority)},
                search_attributes=attributes,
                static_summary=summary(job.title),
                static_details=job.details,
                rpc_timeout=RPC_TIMEOUT,
            )
            await _counted("start", start)

    @asynccontextmanager
    async def _turn_to_start(self) -> AsyncIterator[None]:
        try:
            await asyncio.wait_for(self._starts.acquire(), START_PATIENCE)
        except TimeoutError as error:
            raise TemporalUnavailable("Temporal takes in jobs too slowly.") from error
        try:
            yield
        finally:
            self._starts.release()

    async def describe(self, job_id: str) -> WorkflowExecutionDescription | None:
        """The newest run as the server knows it, or None where it knows no such id."""
        call = self.handle(job_id).describe(rpc_timeout=RPC_TIMEOUT)
        try:
            return await _counted("describe", call)
        except RPCError as error:
            if is_missing(error):
                return None
            raise

    async def start_time(self, job_id: str) -> datetime:
        """When the server has started a job. No more of its answer is read: with all of it, as in
        `describe`, the call costs two thirds more of our processor."""
        found = await self._looked_up("describe", job_id)
        return found.workflow_execution_info.start_time.ToDatetime(UTC)

    async def knows(self, job_id: str) -> bool:
        """Whether the server knows a job, however it stands; as cheap as `start_time`."""
        try:
            await self._looked_up("look_for", job_id)
        except RPCError as error:
            if is_missing(error):
                return False
            raise
        return True

    async def _looked_up(self, name: str, job_id: str) -> DescribeWorkflowExecutionResponse:
        execution = Execution(workflow_id=job_id)
        request = DescribeWorkflowExecutionRequest(
            namespace=self.client.namespace, execution=execution
        )
        call = self.client.workflow_service.describe_workflow_execution(
            request, retry=True, timeout=RPC_TIMEOUT
        )
        return await _counted(name, call)

    async def drain(self, record: Record) -> None:
        """Hand a run that the server does not know to the semaphore, which has its vendors cleared
        and its record ended; a repeat changes nothing."""
        request = SlotRequest(
            job_id=record.job_id,
            run_id=record.run_id,
            priority=record.priority,
            requested_at=record.created_at,
            clean_up=CleanUp(task_queue=record.pipeline, activity=DRAIN_ACTIVITY),
        )
        pipeline = self._pipelines.get(record.pipeline, GENVIDEO)
        asked = start_semaphore(self.client, pipeline.slot, requests=[request])
        await _counted("drain", asked)

    async def cancel(self, job_id: str) -> bool:
        """Ask a job to end; False when it has ended, or never was."""
        try:
            await _counted("cancel", self.handle(job_id).cancel(rpc_timeout=RPC_TIMEOUT))
        except RPCError as error:
            if is_missing(error):
                return False
            raise
        return True

    async def record(self, job_id: str, run_id: str | None = None) -> Record:
        """The record as the newest run holds it, or `run_id`; a worker must be there to answer."""
        query = self.client.get_workflow_handle(job_id, run_id=run_id).query(
            GET_RECORD_QUERY, result_type=Record, rpc_timeout=QUERY_TIMEOUT
        )
        return await _counted("query_record", query, seconds=QUERY_TIMEOUT.total_seconds())

    async def changed_jobs(self, since: datetime) -> list[WorkflowExecution]:
        """Jobs that began or closed after `since`, oldest first; at most MOST_PAGES of PAGE."""
        moment = since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        types = ", ".join(f"'{each.workflow}'" for each in self._pipelines.values())
        query = f"WorkflowType IN ({types}) AND (StartTime>'{moment}' OR CloseTime>'{moment}')"
        listing = self.client.list_workflows(query, page_size=PAGE, rpc_timeout=RPC_TIMEOUT)
        found: list[WorkflowExecution] = []
        for _ in range(MOST_PAGES):
            await _counted("list_changed", listing.fetch_next_page())
            found += listing.current_page or []
            if not listing.next_page_token:
                break
        return sorted(found, key=lambda each: each.start_time)

    async def order_of(self, found: WorkflowExecution) -> tuple[Definition, JobInput]:
        """The pipeline of a job, and what it was started with; one that was started elsewhere may
        carry no memo, or any."""
        types = {each.workflow: each for each in self._pipelines.values()}
        pipeline = types.get(found.workflow_type, GENVIDEO)
        with suppress(Exception):  # what a converter or a codec raises is open
            job = await found.memo_value(MEMO_INPUT, type_hint=pipeline.input)
            if isinstance(job, pipeline.input):
                return pipeline, job
        return pipeline, NotRecorded()


class NotRecorded(JobInput):
    """Of a job whose input nobody knows."""

    @property
    def title(self) -> str:
        return "(not recorded)"


async def first_record(temporal: Temporal, found: WorkflowExecution) -> Record:
    """A job before its first change, from what it was started with."""
    pipeline, job = await temporal.order_of(found)
    return Record.of(
        pipeline,
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
    except ValueError:
        # It has ended well, with something else than our result.
        return {"status": Status.SUCCEEDED}
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


def is_missing(error: BaseException) -> bool:
    """Whether the server said that there is no such execution, or none that is open."""
    return isinstance(error, RPCError) and is_gone(error)


async def _counted(name: str, call: Awaitable[T], *, seconds: float = 3.0) -> T:
    """An answer, or TemporalUnavailable for whatever the server refuses but a missing execution.

    TemporalRefuses where no call of ours is let in.
    """
    TEMPORAL_CALLS.labels(name).inc()
    try:
        return await answer(call, seconds=seconds)
    except RPCError as error:
        if is_missing(error):
            raise
        raise TemporalUnavailable(f"Temporal refuses: {error.message}") from error
