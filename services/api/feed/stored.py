"""The feed where the store is elsewhere: Temporal tells who may have changed, the store how.

What the store doesn't have, or not yet, the workflow is asked for; so the feed goes on while it is
away, and has what was missed written when it is back.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta

import structlog
from temporalio.client import WorkflowExecution

from services.api.dependencies import Dependencies
from services.api.feed.hub import Hub
from services.api.feed.poll import LOOK_UPS, JobPoll
from services.api.periodic import periodically
from services.api.retention import Retention
from services.api.temporal.client import Temporal
from services.api.temporal.slots import Slots
from shared.errors import NotReady
from shared.jobs.ids import is_job_id
from shared.jobs.messages import Record
from shared.store.protocol import StoreAway
from shared.store.records import Records
from shared.temporal.pace import Pace

log = structlog.get_logger(__name__)

# Records of jobs that Temporal has forgotten are looked for; one list of a thousand names a call.
SWEEP_SECONDS = 300.0
READ_AT_ONCE = 8
# So many records wait for the store at the most; of further ones the next start learns.
MOST_UNWRITTEN = 2000


class StoredPoll(JobPoll):
    """As `JobPoll`, with the records of a store that all APIs and workers share."""

    def __init__(
        self,
        temporal: Temporal,
        slots: Slots,
        hub: Hub | None = None,
        *,
        records: Records,
        dependencies: Dependencies,
        retention: Retention | None = None,
        every: timedelta = Pace.FAST.times.poll,
    ) -> None:
        super().__init__(temporal, slots, hub, records=records, retention=retention, every=every)
        self._stored = records
        self._dependencies = dependencies
        self._unwritten: dict[str, Record] = {}
        self._has_begun = False
        # What was just read, and need not be written.
        self._as_read: dict[str, Record] = {}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Poll again and again, and sweep every few minutes, until the end."""
        async with AsyncExitStack() as working:
            await working.enter_async_context(super().running())
            await working.enter_async_context(periodically(self.sweep, SWEEP_SECONDS))
            yield

    async def poll(self) -> None:
        """One look, and another try with what the store has not taken, up to what it refuses."""
        await super().poll()
        for record in list(self._unwritten.values())[:LOOK_UPS]:
            await self._write(record)
            if record.job_id in self._unwritten:
                return

    async def sweep(self) -> None:
        """Learn of all records that aren't known yet, or whose job is known by a list alone."""
        job_ids = await asyncio.to_thread(lambda: set(self._stored.job_ids()))
        known = {each: job for each in job_ids if (job := self.index.get(each)) is not None}
        await self._learn(each for each in job_ids if each not in known or not known[each].version)

    async def _before_shown(self, changed: list[WorkflowExecution]) -> None:
        """Whoever listened to the process before has seen more of these jobs than a list tells."""
        if self._has_begun:
            return
        try:
            await self._learn(job.id for job in changed if is_job_id(job.id))
        except StoreAway as error:
            log.warning("records can't be read", reason=error.message)
        self._has_begun = True

    async def _learn(self, job_ids: Iterable[str]) -> None:
        """By their records, as far as there are any."""
        wanted = sorted(job_ids)
        for start in range(0, len(wanted), READ_AT_ONCE):
            part = wanted[start : start + READ_AT_ONCE]
            for record in await asyncio.gather(*map(self._read, part)):
                if record is not None:
                    self.put_record(record)

    async def _asked(self, job_id: str) -> Record:
        try:
            record = await self._read(job_id)
        except StoreAway as error:
            log.warning("a record can't be read", job_id=job_id, reason=error.message)
            record = None
        if record is None or (self._has_closed(job_id) and not record.status.ended):
            return await super()._asked(job_id)
        self._as_read[job_id] = record
        return record

    async def _read(self, job_id: str) -> Record | None:
        return await asyncio.to_thread(self._stored.read, job_id)

    async def _write(self, record: Record) -> None:
        if self._as_read.pop(record.job_id, None) is record:
            return
        try:
            await self._dependencies.require()
            await asyncio.to_thread(self._stored.write, record)
        except (NotReady, StoreAway) as error:
            log.warning("a record can't be written", job_id=record.job_id, reason=error.message)
            if len(self._unwritten) < MOST_UNWRITTEN:
                self._unwritten[record.job_id] = record
        else:
            self._unwritten.pop(record.job_id, None)
