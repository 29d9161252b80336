"""Removes jobs that ended longer ago than RETENTION_DAYS: files, receipts, and last the record.

Killed at any line, the next round finds the record and goes on.
"""

import asyncio
from contextlib import AbstractAsyncContextManager

import structlog

from services.api.dependencies import Dependencies
from services.api.feed.feed import Feed
from services.api.metrics import FORGOTTEN
from services.api.periodic import periodically
from shared.jobs.ids import callbacks_prefix
from shared.store.assets import Assets
from shared.store.records import Records

log = structlog.get_logger(__name__)

FORGET_SECONDS = 60.0
# So many a round, so that the disk has time for the jobs that run.
PER_ROUND = 500


class Forgetter:
    """Looks for jobs whose time is over; whoever asks for one hears by then that there is none."""

    def __init__(
        self, feed: Feed, records: Records, assets: Assets, *, dependencies: Dependencies
    ) -> None:
        self._dependencies = dependencies
        self._feed = feed
        self._records = records
        self._assets = assets

    def running(self) -> AbstractAsyncContextManager[None]:
        """Look every minute until the end."""
        return periodically(self.forget, FORGET_SECONDS)

    async def forget(self) -> None:
        """One round; NotReady."""
        self._feed.forget_expired()
        if self._feed.expired:
            await self._dependencies.require()
        for job_id in list(self._feed.expired)[:PER_ROUND]:
            # Taken out first: one that can't be removed goes behind the others.
            del self._feed.expired[job_id]
            try:
                removed = await asyncio.to_thread(self._remove, job_id)
            except OSError as error:
                log.error("a job can't be forgotten", job_id=job_id, reason=error.strerror)
                self._feed.expired[job_id] = None
            else:
                FORGOTTEN.inc(removed)

    def _remove(self, job_id: str) -> bool:
        """Whether it was there; a record that can't be read, is open again, or is of another
        namespace is left alone."""
        record = self._records.read(job_id)
        if record is None or not self._feed.retention.over(record):
            return False
        if not record.is_of(self._records.namespace):
            return False
        self._assets.forget(job_id)
        self._records.store.remove_below(callbacks_prefix(job_id))
        self._records.remove(job_id)
        return True
