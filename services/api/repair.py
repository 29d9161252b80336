"""Records that no workflow can write: written again, ended, and removed.

While the API is not ready it writes and removes nothing, because another Temporal may be answering.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from heapq import nsmallest

import structlog
from temporalio.client import (
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
    WorkflowQueryFailedError,
)
from temporalio.service import RPCError

from services.api.metrics import FORGOTTEN, REPAIRED
from services.api.parts import Parts
from services.api.temporal import ABNORMAL, closed, first_record, first_run, is_reset
from shared.errors import NotReady, TemporalUnavailable
from shared.jobs.closing import close_record
from shared.jobs.ids import assets_prefix, callbacks_prefix
from shared.jobs.messages import Job, Record
from shared.jobs.states import Status
from shared.store.protocol import StoreAway
from shared.temporal.client import is_away
from shared.temporal.refusals import refusal

log = structlog.get_logger(__name__)

# A younger job may have no record yet; its workflow is not queried.
FRESH_SECONDS = 5.0
# After a query without an answer, others are skipped for this long.
SILENCE_SECONDS = 5.0
# How often, and how many, jobs that Temporal may not know are looked for, and old ones removed.
ROUND_SECONDS = 60.0
LOOKED_FOR, REMOVED = 20, 500


@asynccontextmanager
async def periodically(
    work: Callable[[], Awaitable[None]], pause: Callable[[], float]
) -> AsyncIterator[None]:
    """Repeat work during the block, with this pause; log a failure, unless `/readyz` reports its
    reason already."""

    async def again() -> None:
        while True:
            try:
                await work()
            except Exception as error:
                known = isinstance(error, TemporalUnavailable | NotReady | StoreAway)
                if not (known or is_away(error) or refusal(error)):
                    log.exception("periodic work failed")
            await asyncio.sleep(pause())

    task = asyncio.create_task(again())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def is_fresh(start: datetime) -> bool:
    """True if a job that started then may have no record yet."""
    return (datetime.now(UTC) - start).total_seconds() < FRESH_SECONDS


class Repairer:
    """Writes a job's record again, ends it, and removes it after RETENTION_DAYS."""

    def __init__(self, parts: Parts) -> None:
        self._dependencies = parts.dependencies
        self._feed = parts.feed
        self._records = parts.records
        self._temporal = parts.temporal
        self._silent_until = float("-inf")
        self._round = 0
        # The round in which a job was last looked for.
        self._looked_for: dict[str, int] = {}

    async def read(self, job_id: str) -> Record | None:
        """Return the stored record, or None; raise StoreAway."""
        return await asyncio.to_thread(self._records.read, job_id)

    def is_ours(self, record: Record) -> bool:
        return record.is_of(self._temporal.client.namespace)

    async def recover(self, job_id: str) -> Job | None:
        """Return a job by Temporal's data, and write its record; None if nothing is known of it.

        Raises NotReady, because a namespace that is not ready proves nothing.
        """
        known = self._feed.get(job_id)
        found = await self._temporal.describe(job_id)
        await self._dependencies.require()
        if found is None:
            if known is None or known.status.ended or await self.read(job_id) is not None:
                return known
            # Nothing else is left that could end it. A run that is started again needs to know that
            # the record is another one's.
            lost = Record.model_validate({**dict(known), "run_id": "unknown"})
            await self._write(close_record(lost, "forgotten"), why="ended")
            return self._feed.get(job_id)
        if self._feed.retention.past(found.close_time):
            self._feed.forget({job_id})
            return None
        is_open = found.status == WorkflowExecutionStatus.RUNNING
        had_one = known is not None and known.version > 0
        if not is_open or had_one or not is_fresh(found.start_time):
            record = await self._from_temporal(found, known)
            if record is not None:
                await self._write(record, why="recovered")
                return self._feed.get(job_id)
        # It is young, or no worker answers: it is shown as it was known, and looked for again.
        self._feed.damaged[job_id] = None
        base = known or (await first_record(self._temporal, found)).job()
        self._feed.put(base)
        return base

    async def _from_temporal(
        self, found: WorkflowExecutionDescription, known: Job | None
    ) -> Record | None:
        """Return the record by the workflow's query; without an answer, one with an end from
        outside.

        A job that was ended from outside or reset has its stored record: its code, replayed for a
        query, goes on with signals that no task has taken, so it may show what never happened.
        """
        is_cut = found.status in ABNORMAL or is_reset(found)
        record = await self.read(found.id) if is_cut else None
        if record is None and time.monotonic() >= self._silent_until:
            try:
                record = await self._temporal.record(found.id, first_run(found))
            except (TemporalUnavailable, RPCError, WorkflowQueryFailedError) as error:
                self._silent_until = time.monotonic() + SILENCE_SECONDS
                log.warning("record can't be queried", job_id=found.id, reason=str(error))
        if record is None and found.status in ABNORMAL:
            record = await first_record(self._temporal, found)
        if record is None:
            return None
        if is_cut and known is not None and known.version > record.version:
            # Its file was lost or takes nothing: what listeners have seen counts, also its end.
            seen = known.version - known.status.ended
            record = record.model_copy(update={"version": seen})
        return closed(record, found)

    async def _write(self, record: Record, *, why: str) -> None:
        """Write a repaired record, and publish it; one of another namespace stays as it is."""
        try:
            present = await self.read(record.job_id)
            if present is not None and not self.is_ours(present):
                self._feed.put_record(present)
                return
            if await asyncio.to_thread(self._records.write, record):
                REPAIRED.labels(why).inc()
        except OSError as error:
            log.error("record can't be written", job_id=record.job_id, reason=error.strerror)
            # It is published all the same, and the file is tried again.
            self._feed.damaged[record.job_id] = None
        self._feed.put_record(record)

    async def close_forgotten(self, job_id: str) -> bool:
        """End an open record whose job Temporal doesn't know; return False if there is no such
        record.

        A job that has begun may have something paid at a vendor, so the semaphore has it drained,
        and its record is ended then.
        """
        record = await self.read(job_id)
        if record is None or not self.is_ours(record):
            return False
        if self._feed.put_record(record).status.ended or await self._temporal.describe(job_id):
            return False
        if record.status is Status.QUEUED:
            await self._write(close_record(record, "forgotten"), why="ended")
            return True
        await self._temporal.drain(record)
        return True

    async def end_unknown(self) -> None:
        """Look for open jobs that Temporal does not know, as after a loss of its database.

        Each round checks the same number of jobs, in turn. Raises NotReady.
        """
        self._round += 1
        jobs = self._feed.open()
        self._looked_for = {job.job_id: self._looked_for.get(job.job_id, 0) for job in jobs}
        running = self._next(job for job in jobs if job.status is Status.RUNNING)
        waiting = self._next(job for job in jobs if job.status is Status.QUEUED)
        if running or waiting:
            await self._dependencies.require()
        for job in (*running, *waiting):
            self._looked_for[job.job_id] = self._round
            if await self._temporal.describe(job.job_id, call="look_for") is None:
                await self.close_forgotten(job.job_id)

    def _next(self, jobs: Iterable[Job]) -> list[Job]:
        return nsmallest(
            LOOKED_FOR, jobs, key=lambda job: (self._looked_for[job.job_id], job.created_at)
        )

    async def remove_expired(self) -> None:
        """Remove jobs whose retention is over: files, receipts, and last the record.

        After a kill at any line the next round finds the record and continues. Raises NotReady.
        """
        self._feed.forget_expired()
        if self._feed.expired:
            await self._dependencies.require()
        for job_id in list(self._feed.expired)[:REMOVED]:
            # Taken out first, so that one that can't be removed goes behind the others.
            del self._feed.expired[job_id]
            try:
                removed = await asyncio.to_thread(self._remove, job_id)
            except OSError as error:
                log.error("job can't be removed", job_id=job_id, reason=error.strerror)
                self._feed.expired[job_id] = None
            else:
                FORGOTTEN.inc(removed)

    def _remove(self, job_id: str) -> bool:
        """Remove a job; return False for an unreadable record, an open one, or one of another
        namespace."""
        record = self._records.read(job_id)
        if record is None or not self._feed.retention.over(record):
            return False
        if not record.is_of(self._records.namespace):
            return False
        for prefix in (assets_prefix(job_id), callbacks_prefix(job_id)):
            self._records.store.remove_below(prefix)
        self._records.remove(job_id)
        return True
