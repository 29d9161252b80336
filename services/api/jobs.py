"""Operations on jobs; a job is known from its 202 on, and Temporal is called rarely."""

from collections.abc import Mapping
from datetime import UTC, datetime

import structlog
from pydantic import ValidationError
from temporalio.exceptions import WorkflowAlreadyStartedError

from services.api.metrics import SUBMITTED
from services.api.models import Ordered as Order
from services.api.parts import Parts
from services.api.repair import Repairer, is_fresh
from services.api.slots import Slots
from services.api.temporal import first_record
from shared.errors import GenvideoError, QueueFull, TemporalUnavailable
from shared.jobs.ids import is_job_id, job_id_for_key, new_job_id
from shared.jobs.messages import Job, Record
from shared.jobs.states import RETRYABLE_STATES
from shared.pipeline.definition import Definition

log = structlog.get_logger(__name__)


class IdempotencyConflict(GenvideoError, status=422, title="The key was used for another body"):
    """The key belongs to another request."""


class JobNotRetryable(GenvideoError, status=409, title="The job can't be retried"):
    """The job succeeded, has not ended, or left no input."""


class JobEnded(GenvideoError, status=409, title="The job has already ended"):
    """The job has ended, so it can't be cancelled."""


class OtherNamespace(
    GenvideoError, status=409, title="The job is in another namespace of Temporal"
):
    """The job's workflow runs in another namespace."""


class JobNotFound(GenvideoError, status=404, title="No such job"):
    """No job has this id, in the records or in Temporal."""


class Jobs:
    def __init__(
        self,
        parts: Parts,
        repairer: Repairer,
        *,
        slots: Mapping[str, Slots],
        pipelines: Mapping[str, Definition],
    ) -> None:
        self._dependencies = parts.dependencies
        self._feed = parts.feed
        self._temporal = parts.temporal
        self._repairer = repairer
        self._slots = slots
        self._pipelines = pipelines

    async def submit(self, order: Order, key: str | None) -> str:
        """Start a job and return its id; the same key and order give the same one.

        Raises IdempotencyConflict if the key was used for another order, QueueFull, and
        TemporalUnavailable.
        """
        if key is None:
            return await self._start(new_job_id(), order)
        job_id = job_id_for_key(key)
        record = await self._repairer.read(job_id)
        if record is not None:
            self._require_kept(record.finished_at)
            _require_same(order, self._order_of(record))
            return job_id
        try:
            return await self._start(job_id, order)
        except WorkflowAlreadyStartedError:
            # Another call with this key was faster, or its job has no record yet.
            await self._adopt(job_id, order)
        except QueueFull:
            # The job that this key started may be among those that fill the queue.
            if not await self._adopt(job_id, order):
                raise
        return job_id

    async def _start(self, job_id: str, order: Order) -> str:
        pipeline, job = order
        await self._slots[pipeline.slot].require_room()
        await self._temporal.start(job_id, job, pipeline)
        SUBMITTED.inc()
        # Its record will follow.
        begun = await self._started(job_id)
        first = Record.of(pipeline, job, job_id=job_id, run_id="", created_at=begun)
        self._feed.put(first.job())
        log.info("job submitted", job_id=job_id, tag=job.tag, priority=job.priority)
        return job_id

    async def _started(self, job_id: str) -> datetime:
        """Return the server's start time, which the record will have; about now, if it is
        silent."""
        try:
            found = await self._temporal.describe(job_id)
        except TemporalUnavailable:
            found = None
        return datetime.now(UTC) if found is None else found.start_time

    async def _adopt(self, job_id: str, order: Order) -> bool:
        """Check that the job which the key started has the same order; return False if it started
        none."""
        found = await self._temporal.describe(job_id)
        if found is None:
            return False
        self._require_kept(found.close_time)
        _require_same(order, await self._temporal.order_of(found))
        self._feed.put((await first_record(self._temporal, found)).job())
        return True

    def _order_of(self, record: Record) -> Order | None:
        """Return the order that a job was started with; None if its pipeline or its input is not
        valid here."""
        pipeline = self._pipelines.get(record.pipeline)
        try:
            return None if pipeline is None else (pipeline, record.input_of(pipeline))
        except ValidationError:
            return None

    def _require_kept(self, end: datetime | None) -> None:
        if self._feed.retention.past(end):
            raise IdempotencyConflict("This Idempotency-Key was used for a job that is gone.")

    async def find(self, job_id: str) -> Job:
        """Return the newest state of a job; raise JobNotFound, or TemporalUnavailable if only it
        knows."""
        check_id(job_id)
        record = await self._repairer.read(job_id)
        if record is not None and self._feed.retention.over(record):
            raise _unknown(job_id)
        if record is not None:
            return self._feed.put_record(record)
        known = self._feed.get(job_id)
        is_open = known is not None and not known.status.ended
        if known is not None and is_open and known.version == 0 and is_fresh(known.created_at):
            return known
        job = await self._repairer.recover(job_id)
        if job is None:
            raise _unknown(job_id)
        return job

    async def cancel(self, job_id: str) -> Job:
        """Ask a job to end; raise JobEnded, OtherNamespace or NotReady.

        A job that Temporal has forgotten is ended here, or by the semaphore if it had begun,
        because nothing else would end it.
        """
        job = await self.find(job_id)
        if not job.status.ended:
            await self._require_changeable(job_id)
            # It may end after it was found; then Temporal refuses, and it is looked up again.
            if await self._temporal.cancel(job_id) or await self._repairer.close_forgotten(job_id):
                return job
        raise JobEnded(f"{job_id} has ended: {(await self.find(job_id)).status}.")

    async def _require_changeable(self, job_id: str) -> None:
        record = await self._repairer.read(job_id)
        if record is not None and not self._repairer.is_ours(record):
            raise OtherNamespace(
                f"{job_id} is in Temporal's namespace {record.namespace}; this API uses"
                f" {self._temporal.client.namespace}."
            )
        await self._dependencies.require()

    async def retry(self, job_id: str, key: str | None) -> str:
        """Start a new job with the input of one that ended without all its results.

        Raises JobNotRetryable, OtherNamespace or NotReady.
        """
        job = await self.find(job_id)
        if job.status not in RETRYABLE_STATES:
            raise JobNotRetryable(
                f"{job_id} is {job.status}; only failed, degraded or cancelled jobs can be retried."
            )
        await self._require_changeable(job_id)
        record = await self._repairer.read(job_id)
        if record is None:
            raise JobNotRetryable(f"No input is stored for {job_id}.")
        again = self._order_of(record)
        if again is None:
            known = ", ".join(self._pipelines)
            raise JobNotRetryable(
                f"Its pipeline {record.pipeline} is not one of {known}, or its input is wrong."
            )
        # A caller's key has no space, so this can't be the key of another job.
        return await self.submit(again, None if key is None else f"retry {job_id} {key}")


def _require_same(order: Order, before: Order | None) -> None:
    if order != before:
        raise IdempotencyConflict("This Idempotency-Key was used for a job with another body.")


def check_id(job_id: str) -> None:
    """Raise JobNotFound for an invalid job id."""
    if not is_job_id(job_id):
        raise _unknown(job_id)


def _unknown(job_id: str) -> JobNotFound:
    return JobNotFound(f"There is no job {job_id[:64]}.")
