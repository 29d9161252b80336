"""Records that are missing, damaged or left open, made again from Temporal; written when whole."""

import asyncio
import time
from datetime import UTC, datetime

import structlog
from temporalio.client import (
    WorkflowExecution,
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowQueryFailedError,
)
from temporalio.exceptions import ApplicationError, CancelledError, FailureError
from temporalio.service import RPCError

from services.api.feed import Feed
from services.api.metrics import HEALED
from services.api.temporal import ABNORMAL, MEMO_INPUT, RPC_TIMEOUT, Temporal
from shared.closing import close_record
from shared.errors import TemporalUnavailable
from shared.messages import Job, JobError, JobInput, Record
from shared.states import Status
from shared.temporal import answer

log = structlog.get_logger(__name__)

# A job younger than this may well have no record yet; its workflow is not asked for one.
FRESH_SECONDS = 5.0
# After a query that nobody answered, others are not held up by one of their own for so long.
SILENCE_SECONDS = 5.0


class Healer:
    """Puts right what no workflow is left, or able, to write."""

    def __init__(self, feed: Feed, temporal: Temporal) -> None:
        self._feed = feed
        self._temporal = temporal
        self._silent_until = float("-inf")

    async def read(self, job_id: str) -> Record | None:
        """The record that is kept, or None."""
        return await asyncio.to_thread(self._feed.records.read, job_id)

    async def write(self, record: Record, *, why: str) -> None:
        """Store a record that was made again, and tell the listeners."""
        try:
            stored = await asyncio.to_thread(self._feed.records.write, record)
        except OSError as error:
            log.error("a record could not be written", job_id=record.job_id, reason=str(error))
            # Whoever looks is told all the same, and the file is tried again.
            self._feed.damaged.add(record.job_id)
            stored = False
        if stored:
            HEALED.labels(why).inc()
        self._feed.take(record)

    async def without_record(self, job_id: str) -> Job | None:
        """A job that has no readable record, from Temporal; None where Temporal has none either."""
        known = self._feed.index.get(job_id)
        if known is not None and self._up_to_date(known):
            return known
        found = await self._temporal.describe(job_id)
        if found is None:
            return known
        if _age(found.start_time) >= FRESH_SECONDS or found.status != _RUNNING:
            record = await self._from_workflow(found)
            if record is not None:
                await self.write(record, why="missing")
                return self._feed.index.get(job_id)
        return await self._from_description(found, known)

    async def catch_up(self, job_id: str) -> None:
        """Bring a record that is behind to what the workflow says."""
        found = await self._temporal.describe(job_id)
        record = None if found is None else await self._from_workflow(found)
        if record is not None:
            await self.write(record, why="behind")

    def _up_to_date(self, known: Job) -> bool:
        """Whether Temporal has nothing to add."""
        if self._feed.complete:
            return known.version > 0 or not known.status.ended
        return known.version == 0 and _age(known.created_at) < FRESH_SECONDS

    async def asked(self, job_id: str) -> Record | None:
        """The record as the workflow tells it now, where records aren't written for us."""
        if not self._feed.complete:
            return None
        found = await self._temporal.describe(job_id)
        return None if found is None else await self._from_workflow(found)

    async def _from_workflow(self, found: WorkflowExecutionDescription) -> Record | None:
        if time.monotonic() < self._silent_until:
            return None
        try:
            return await from_workflow(self._temporal, found)
        except (TemporalUnavailable, RPCError, WorkflowQueryFailedError) as error:
            # No worker answers, or the workflow can't: the description has to do.
            self._silent_until = time.monotonic() + SILENCE_SECONDS
            log.warning("a record can't be asked for", job_id=found.id, reason=str(error))
            return None

    async def _from_description(
        self, found: WorkflowExecutionDescription, known: Job | None
    ) -> Job:
        base = known or (await first_record(found)).job()
        if found.status == _RUNNING:
            self._feed.put(base)
            return base
        return base.model_copy(
            update={"finished_at": found.close_time, **await self._outcome(found)}
        )

    async def _outcome(self, found: WorkflowExecutionDescription) -> dict[str, object]:
        """How a closed job ended, from its last history event."""
        handle = self._temporal.handle(found.id)
        try:
            end = await answer(handle.result(rpc_timeout=RPC_TIMEOUT))
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


_RUNNING = WorkflowExecutionStatus.RUNNING


async def from_workflow(temporal: Temporal, found: WorkflowExecutionDescription) -> Record:
    """The record as the workflow tells it, with an end that it had no code left to record."""
    return closed(await temporal.record(found.id), found.status)


def closed(record: Record, status: WorkflowExecutionStatus | None) -> Record:
    """The record with its end, where the job was ended from outside."""
    if status in ABNORMAL and not record.status.ended:
        return close_record(record, ABNORMAL[status])
    return record


def _failed(cause: BaseException) -> dict[str, object]:
    if isinstance(cause, CancelledError):
        error = JobError(code="cancelled", message="The job was cancelled.")
        return {"status": Status.CANCELLED, "error": error}
    code = cause.type if isinstance(cause, ApplicationError) and cause.type else None
    message = cause.message if isinstance(cause, FailureError) else str(cause)
    name = type(cause).__name__.removesuffix("Error").lower()
    return {"status": Status.FAILED, "error": JobError(code=code or name, message=message)}


async def first_record(found: WorkflowExecution) -> Record:
    """A job before its first change, from what it was started with; ValueError without a memo."""
    job = await input_of(found)
    return Record(
        job_id=found.id,
        run_id=found.run_id,
        prompt=job.prompt,
        style=job.style,
        tag=job.tag,
        priority=job.priority,
        on_video_failure=job.on_video_failure,
        created_at=found.start_time,
    )


async def input_of(found: WorkflowExecution) -> JobInput:
    """What a job was started with; a job that was started elsewhere may carry no memo."""
    return await found.memo_value(
        MEMO_INPUT, default=JobInput(prompt="(not recorded)", style=""), type_hint=JobInput
    )


def _age(moment: datetime) -> float:
    return (datetime.now(UTC) - moment).total_seconds()
