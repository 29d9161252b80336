"""Records that are missing, damaged or left open, made again from Temporal; written when whole."""

import asyncio
import time
from datetime import UTC, datetime

import structlog
from temporalio.client import (
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
    WorkflowQueryFailedError,
)
from temporalio.service import RPCError

from services.api.dependencies import Dependencies
from services.api.feed.feed import Feed
from services.api.metrics import REPAIRED
from services.api.temporal.client import Temporal
from services.api.temporal.executions import first_record, from_workflow, outcome
from shared.errors import TemporalUnavailable
from shared.jobs.closing import close_record
from shared.jobs.messages import Job, Record
from shared.jobs.states import Status

log = structlog.get_logger(__name__)

# A job younger than this may well have no record yet; its workflow is not asked for one.
FRESH_SECONDS = 5.0
# After a query that nobody answered, others are not held up by one of their own for so long.
SILENCE_SECONDS = 5.0
# So long a job that was handed to the semaphore is not handed to it again.
DRAIN_SECONDS = 60.0


class Repairer:
    """Puts right what no workflow is left, or able, to write."""

    def __init__(self, feed: Feed, temporal: Temporal, dependencies: Dependencies) -> None:
        self._dependencies = dependencies
        self._feed = feed
        self._temporal = temporal
        self._silent_until = float("-inf")
        # Jobs that were lately handed to the semaphore to be drained, and when.
        self._handed: dict[str, float] = {}

    async def read(self, job_id: str) -> Record | None:
        """The record that is kept, or None."""
        return await asyncio.to_thread(self._feed.records.read, job_id)

    def is_ours(self, record: Record) -> bool:
        """Whether its workflow runs in our namespace."""
        return record.is_of(self._temporal.client.namespace)

    async def write(self, record: Record, *, why: str) -> None:
        """Store a record that was made again, and tell the listeners.

        One of another namespace stands, and is shown as it is.
        """
        present = await self.read(record.job_id)
        if present is not None and not self.is_ours(present):
            return
        try:
            stored = await asyncio.to_thread(self._feed.records.write, record)
        except OSError as error:
            log.error("a record could not be written", job_id=record.job_id, reason=str(error))
            # Whoever looks is told all the same, and the file is tried again.
            self._feed.damaged.add(record.job_id)
            stored = False
        if stored:
            REPAIRED.labels(why).inc()
        known = self._feed.put_record(record)
        if record.status.ended and not known.status.ended:
            await self._tell_end(known)

    async def _tell_end(self, known: Job) -> None:
        """An end under fewer versions than are known is news all the same.

        The file was lost, and a run that was reset has counted anew.
        """
        there = await self.read(known.job_id)
        if there is not None and there.status.ended:
            self._feed.put(there.job().model_copy(update={"version": known.version + 1}))

    async def recover(self, job_id: str) -> Job | None:
        """A job that has no readable record, from Temporal; None where Temporal has none either.

        NotReady: what a namespace says that is not ready for us is taken for nothing.
        """
        known = self._feed.index.get(job_id)
        if known is not None and self._up_to_date(known):
            return known
        found = await self._temporal.describe(job_id)
        await self._dependencies.require()
        if found is None:
            return known
        if self._feed.retention.past(found.close_time):
            self._feed.index.forget({job_id})
            return None
        is_open = found.status == WorkflowExecutionStatus.RUNNING
        if not is_open or _age(found.start_time) >= FRESH_SECONDS:
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

    async def close_forgotten(self, job_id: str) -> bool:
        """End an open record whose job Temporal doesn't know; False if there is no such record.

        A job that has begun may have something paid at a vendor: the semaphore has it drained, and
        its record is ended then.
        """
        record = await self.read(job_id)
        if record is None or not self.is_ours(record):
            return False
        # A store elsewhere tells nobody of an end that was recorded without a workflow.
        if self._feed.put_record(record).status.ended or await self._temporal.describe(job_id):
            return False
        if record.status is Status.RUNNING or record.started_at is not None:
            await self._drain(record)
        else:
            await self.write(close_record(record, "forgotten"), why="ended")
        return True

    async def _drain(self, record: Record) -> None:
        since = time.monotonic() - DRAIN_SECONDS
        self._handed = {each: at for each, at in self._handed.items() if at > since}
        if record.job_id not in self._handed:
            await self._temporal.drain(record)
            self._handed[record.job_id] = time.monotonic()

    def _up_to_date(self, known: Job) -> bool:
        """Whether Temporal has nothing to add."""
        if self._feed.complete:
            return known.version > 0 or not known.status.ended
        return known.version == 0 and _age(known.created_at) < FRESH_SECONDS

    async def ask(self, job_id: str) -> Record | None:
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
        if found.status == WorkflowExecutionStatus.RUNNING:
            self._feed.put(base)
            return base
        end = await outcome(self._temporal, found)
        return base.model_copy(update={"finished_at": found.close_time, **end})


def _age(moment: datetime) -> float:
    return (datetime.now(UTC) - moment).total_seconds()
