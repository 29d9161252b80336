"""The API's calls to Temporal, and Temporal's data of a job as a record.

Each call is counted and limited in time, or raises TemporalUnavailable.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from temporalio.client import (
    Client,
    WorkflowExecution,
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
)
from temporalio.common import (
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.service import RPCError

from services.api.metrics import TEMPORAL_CALLS
from shared.errors import TemporalUnavailable
from shared.jobs.closing import RESET, close_record
from shared.jobs.genvideo import GENVIDEO
from shared.jobs.messages import UNTAGGED, Record
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

RPC_TIMEOUT = timedelta(seconds=3)
# At most this many starts, and this many cancels, are with the server at a time, so that each call
# is answered in time. A start or a cancel waits this long for its turn.
STARTS_AT_ONCE = CANCELS_AT_ONCE = 2
START_PATIENCE, CANCEL_PATIENCE = 10.0, 60.0
MEMO_INPUT = "input"
ABNORMAL = {
    WorkflowExecutionStatus.TERMINATED: "terminated",
    WorkflowExecutionStatus.TIMED_OUT: "timed_out",
}
# The size of a page of changes, and the most pages.
PAGE = 1000
MOST_PAGES = 20


class Temporal:
    def __init__(self, client: Client, pipelines: Iterable[Definition] = (GENVIDEO,)) -> None:
        self.client = client
        self._pipelines = {each.name: each for each in pipelines}
        self._starts = asyncio.Semaphore(STARTS_AT_ONCE)
        self._cancels = asyncio.Semaphore(CANCELS_AT_ONCE)

    async def start(self, job_id: str, job: JobInput, pipeline: Definition = GENVIDEO) -> None:
        """Start a job's workflow; raise WorkflowAlreadyStartedError if the id was ever used.

        With too many starts at once it waits, and raises TemporalUnavailable if that takes long.
        """
        attributes = TypedSearchAttributes(
            [
                SearchAttributePair(CUSTOM_PROGRESS, 0),
                SearchAttributePair(CUSTOM_TAG, job.tag or UNTAGGED),
            ]
        )
        async with _turn(self._starts, START_PATIENCE):
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

    async def describe(
        self, job_id: str, *, call: str = "describe"
    ) -> WorkflowExecutionDescription | None:
        """Describe the newest run, or return None if the server knows no such id."""
        try:
            described = self.client.get_workflow_handle(job_id).describe(rpc_timeout=RPC_TIMEOUT)
            return await _counted(call, described)
        except RPCError as error:
            if is_missing(error):
                return None
            raise

    async def drain(self, record: Record) -> None:
        """Make the semaphore drain a run that the server does not know, and end its record; a
        repeat changes nothing."""
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
        """Ask a job to end; return False if it has ended, or there is none."""
        try:
            async with _turn(self._cancels, CANCEL_PATIENCE):
                handle = self.client.get_workflow_handle(job_id)
                await _counted("cancel", handle.cancel(rpc_timeout=RPC_TIMEOUT))
        except RPCError as error:
            if is_missing(error):
                return False
            raise
        return True

    async def record(self, job_id: str, run_id: str) -> Record:
        """Query the record of a run; a worker must answer."""
        query = self.client.get_workflow_handle(job_id, run_id=run_id).query(
            GET_RECORD_QUERY, result_type=Record, rpc_timeout=QUERY_TIMEOUT
        )
        return await _counted("query_record", query, seconds=QUERY_TIMEOUT.total_seconds())

    async def changed_jobs(self, since: datetime) -> list[WorkflowExecution]:
        """Return jobs that began or closed after `since`, oldest first; at most MOST_PAGES of
        PAGE."""
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
        """Return a job's pipeline and input; a job that was started elsewhere may have no memo, or
        another one."""
        types = {each.workflow: each for each in self._pipelines.values()}
        pipeline = types.get(found.workflow_type, GENVIDEO)
        with suppress(Exception):  # what a converter or a codec raises is open
            job = await found.memo_value(MEMO_INPUT, type_hint=pipeline.input)
            if isinstance(job, pipeline.input):
                return pipeline, job
        return pipeline, NotRecorded()


class NotRecorded(JobInput):
    """The job's input is unknown, so there is no record."""

    @property
    def title(self) -> str:
        return "(not recorded)"


async def first_record(temporal: Temporal, found: WorkflowExecution) -> Record:
    """Return a job before its first change, by its input."""
    pipeline, job = await temporal.order_of(found)
    return Record.of(
        pipeline,
        job,
        job_id=found.id,
        run_id=found.run_id,
        created_at=found.start_time,
        namespace=found.namespace,
    )


def first_run(found: WorkflowExecutionDescription) -> str:
    """Return the run that was started."""
    return found.raw_description.workflow_execution_info.first_run_id or found.run_id


def is_reset(found: WorkflowExecutionDescription) -> bool:
    """True if the newest run is another one than that: the job was reset."""
    return first_run(found) != found.run_id


def closed(record: Record, found: WorkflowExecutionDescription) -> Record:
    """Return the record with its end, if the job was ended from outside."""
    if record.status.ended:
        return record
    if found.status in ABNORMAL:
        return close_record(record, ABNORMAL[found.status])
    if is_reset(found) and found.status is not WorkflowExecutionStatus.RUNNING:
        return close_record(record, RESET)
    return record


def is_missing(error: BaseException) -> bool:
    """True if the server says that there is no such execution, or no open one."""
    return isinstance(error, RPCError) and is_gone(error)


@asynccontextmanager
async def _turn(places: asyncio.Semaphore, seconds: float) -> AsyncIterator[None]:
    """Take one of the places for a block; raise TemporalUnavailable if none is free in time."""
    try:
        await asyncio.wait_for(places.acquire(), seconds)
    except TimeoutError as error:
        raise TemporalUnavailable("Temporal answers too slowly.") from error
    try:
        yield
    finally:
        places.release()


async def _counted(name: str, call: Awaitable[T], *, seconds: float = 3.0) -> T:
    """Return an answer, or raise TemporalUnavailable for any refusal but a missing execution.

    Raises TemporalRefuses if the server refuses all our calls.
    """
    TEMPORAL_CALLS.labels(name).inc()
    try:
        return await answer(call, seconds=seconds)
    except RPCError as error:
        if is_missing(error):
            raise
        raise TemporalUnavailable(f"Temporal refuses: {error.message}") from error
