"""What can be done with jobs; a job is known from the 202 on, and Temporal is asked the least."""

from datetime import UTC, datetime

import structlog
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError

from services.api.dependencies import Dependencies
from services.api.feed.feed import Feed
from services.api.metrics import SUBMITTED
from services.api.repair import Repairer
from services.api.slots import Slots
from services.api.temporal import Temporal, first_record, input_of
from shared.errors import GenvideoError, QueueFull, TemporalUnavailable
from shared.jobs.genvideo import GENVIDEO
from shared.jobs.ids import is_job_id, job_id_for_key, new_job_id
from shared.jobs.messages import Job, Record
from shared.jobs.states import RETRYABLE_STATES
from shared.pipeline.definition import JobInput
from shared.telemetry import tracing

log = structlog.get_logger(__name__)


class IdempotencyConflict(
    GenvideoError,
    code="idempotency_conflict",
    status=422,
    title="The key was used for another body",
):
    """The key belongs to another request."""


class JobNotRetryable(
    GenvideoError, code="job_not_retryable", status=409, title="The job can't be run again"
):
    """It made all that it was to make, has not ended, or left no input behind."""


class JobEnded(GenvideoError, code="job_ended", status=409, title="The job has already ended"):
    """It can't be cancelled any more."""


class OtherNamespace(
    GenvideoError,
    code="other_namespace",
    status=409,
    title="The job is in another namespace of Temporal",
):
    """Its workflow runs where this API does not look."""


class JobNotFound(GenvideoError, code="job_not_found", status=404, title="No such job"):
    """No job has this id, in the records or in Temporal."""


class Jobs:
    """Submit, find, cancel and run again."""

    def __init__(
        self,
        feed: Feed,
        temporal: Temporal,
        *,
        slots: Slots,
        repairer: Repairer,
        dependencies: Dependencies,
    ) -> None:
        self._dependencies = dependencies
        self._feed = feed
        self._slots = slots
        self._temporal = temporal
        self._repairer = repairer

    async def submit(self, job: JobInput, key: str | None) -> str:
        """Start a job and give its id; the same key and input give the same one.

        IdempotencyConflict: the key was used for another input. QueueFull. TemporalUnavailable.
        """
        if key is None:
            return await self._start(new_job_id(), job)
        job_id = job_id_for_key(key)
        record = await self._repairer.read(job_id)
        if record is not None:
            self._require_kept(record.finished_at)
            _require_same(job, record.input_of(GENVIDEO))
            return job_id
        try:
            return await self._start(job_id, job)
        except WorkflowAlreadyStartedError:
            # Another call with this key was faster, or its job has no record yet.
            await self._adopt(job_id, job)
        except QueueFull:
            # The job that this key started may be among those that fill the queue.
            if not await self._adopt(job_id, job):
                raise
        return job_id

    async def _start(self, job_id: str, job: JobInput) -> str:
        with tracing.of_job(job_id, "submit", batch_id=job.tag or ""):
            await self._slots.require_room()
            await self._temporal.start(job_id, job)
        SUBMITTED.labels("new").inc()
        self._feed.submitted(job_id, job, at=await self._started(job_id))
        log.info("job submitted", job_id=job_id, tag=job.tag, priority=job.priority)
        return job_id

    async def _started(self, job_id: str) -> datetime:
        """When the server has started it, which its record will say; about now, if it is silent."""
        try:
            return await self._temporal.start_time(job_id)
        except (RPCError, TemporalUnavailable):
            return datetime.now(UTC)

    async def _adopt(self, job_id: str, job: JobInput) -> bool:
        """The job that the key started before must have the same input; False: it started none."""
        found = await self._temporal.describe(job_id)
        if found is None:
            return False
        self._require_kept(found.close_time)
        _require_same(job, await input_of(found))
        self._feed.put((await first_record(found)).job())
        return True

    def _require_kept(self, end: datetime | None) -> None:
        if self._feed.retention.past(end):
            raise IdempotencyConflict("This Idempotency-Key was used for a job that is gone.")

    async def find(self, job_id: str) -> Job:
        """The newest state of a job; JobNotFound, or TemporalUnavailable where only it can say."""
        check_id(job_id)
        record = await self._repairer.read(job_id)
        if record is not None and self._feed.retention.over(record):
            raise _unknown(job_id)
        if record is not None:
            return self._feed.put_record(record)
        known = self._feed.index.get(job_id)
        waits = known is not None and known.version == 0 and not known.status.ended
        if known is not None and waits and not await self._repairer.is_there(job_id):
            # It has no record yet.
            return known
        job = await self._repairer.recover(job_id)
        if job is None:
            raise _unknown(job_id)
        return job

    async def record(self, job_id: str) -> Record | None:
        """The record of a known job, if there is one yet."""
        return await self._repairer.read(job_id)

    async def cancel(self, job_id: str) -> Job:
        """Ask a job to end; JobEnded when it has, OtherNamespace, NotReady.

        One that Temporal has forgotten is ended here, or by the semaphore if it had begun: nobody
        else ever would.
        """
        job = await self.find(job_id)
        if not job.status.ended:
            await self._require_changeable(job_id)
            # It may end after it was found; then Temporal refuses, and it is looked up anew.
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
        """A new job with the input of one that ended without all it was to make.

        JobNotRetryable, OtherNamespace, NotReady.
        """
        job = await self.find(job_id)
        if job.status not in RETRYABLE_STATES:
            raise JobNotRetryable(f"{job_id} is {job.status}; only an ended job runs again.")
        await self._require_changeable(job_id)
        again = await self._input_again(job)
        # A space can't be in a key of a caller's, so that this can't be the key of another job.
        return await self.submit(again, None if key is None else f"retry {job_id} {key}")

    async def _input_again(self, job: Job) -> JobInput:
        record = await self._repairer.read(job.job_id)
        if record is not None:
            return record.input_of(GENVIDEO)
        found = await self._temporal.describe(job.job_id)
        if found is None:
            raise JobNotRetryable(f"Nothing is left of the input of {job.job_id}.")
        return await input_of(found)


def _require_same(job: JobInput, before: JobInput) -> None:
    if job != before:
        raise IdempotencyConflict("This Idempotency-Key was used for a job with another body.")


def check_id(job_id: str) -> None:
    """JobNotFound for what can't be a job's."""
    if not is_job_id(job_id):
        raise _unknown(job_id)


def _unknown(job_id: str) -> JobNotFound:
    return JobNotFound(f"There is no job {job_id[:64]}.")
