"""Puts the records of jobs right that ended from outside; one bounded query a round."""

import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime

import structlog
from temporalio.client import WorkflowExecution
from temporalio.service import RPCError

from services.api.dependencies import Dependencies
from services.api.feed.feed import Feed
from services.api.periodic import periodically
from services.api.repair.repairer import Repairer
from services.api.temporal.client import ABNORMAL, Temporal
from services.api.temporal.executions import closed, first_record
from services.api.temporal.look_back import LookBack
from shared.jobs.ids import is_job_id

log = structlog.get_logger(__name__)

# Between two rounds: as long as nothing has changed before, within these bounds. A queue that
# stands still costs little.
RECONCILE_SECONDS, REST_SECONDS = 3.0, 60.0
DAMAGED_PER_ROUND = 20
# An end that its worker could not record is rare, and the list of all ends is long.
LATE_ROUNDS = 5


class Reconciler:
    """Looks for jobs without a record at start, and for ends without one ever after."""

    def __init__(
        self, feed: Feed, temporal: Temporal, repairer: Repairer, *, dependencies: Dependencies
    ) -> None:
        self._dependencies = dependencies
        self._feed = feed
        self._temporal = temporal
        self._repairer = repairer
        self._abnormal, self._ended = LookBack(), LookBack()
        self._rounds = 0
        self._listed = False

    def running(self) -> AbstractAsyncContextManager[None]:
        """Reconcile until the end: every few seconds, and seldom while all stands still."""
        return periodically(self.reconcile, self.pause)

    def pause(self) -> float:
        """Seconds until the next round."""
        quiet = time.monotonic() - self._feed.changed_at
        return min(max(RECONCILE_SECONDS, quiet), REST_SECONDS)

    async def reconcile(self) -> None:
        """One look; nothing is asked while no job is open. NotReady."""
        if self._listed and not self._feed.damaged and not self._feed.index.any_open():
            return
        await self._dependencies.require()
        if not self._listed:
            await self._list_open()
            self._listed = True
        await self._repair_damaged()
        if not self._feed.index.any_open():
            return
        began = datetime.now(UTC)
        found = await self._temporal.abnormal_ends(self._abnormal.since)
        for execution in found:
            await self._settle(execution)
        self._abnormal.listed(began, _ends(found))
        if self._rounds % LATE_ROUNDS == 0:
            await self._catch_up(began)
        self._rounds += 1

    async def _catch_up(self, began: datetime) -> None:
        """Jobs that have ended in order, and whose last record the worker's disk has refused."""
        found = await self._temporal.ends(self._ended.since)
        for execution in found:
            job = self._feed.index.get(execution.id)
            if job is not None and not job.status.ended:
                await self._repairer.catch_up(execution.id)
        self._ended.listed(began, _ends(found))

    async def _repair_damaged(self) -> None:
        """Some of the files that are no records; what Temporal doesn't know stays as it is."""
        for job_id in list(self._feed.damaged)[:DAMAGED_PER_ROUND]:
            # Before it is looked at: whoever finds the file damaged meanwhile puts it back.
            self._feed.damaged.discard(job_id)
            known = await self._repairer.recover(job_id)
            if known is not None and await self._repairer.read(job_id) is None:
                # No worker answers yet; the next round tries again.
                self._feed.damaged.add(job_id)

    async def _list_open(self) -> None:
        """Jobs that were submitted and have no record yet, when this process starts."""
        async for execution in self._temporal.open_jobs():
            if is_job_id(execution.id) and self._feed.index.get(execution.id) is None:
                self._feed.put((await first_record(execution)).job())

    async def _settle(self, execution: WorkflowExecution) -> None:
        job = self._feed.index.get(execution.id)
        if job is None or job.status.ended:
            return
        try:
            newest = await self._temporal.describe(execution.id)
        except RPCError as error:
            log.warning("a job can't be looked up", job_id=execution.id, reason=str(error))
            return
        # After a reset the terminated run is an older one; the newest one tells the end.
        if newest is None or newest.status not in ABNORMAL:
            return
        record = await self._repairer.read(execution.id) or await first_record(newest)
        if record.version < job.version:
            # Its file was lost since: the workflow tells what that said, as of a damaged one.
            self._feed.damaged.add(execution.id)
            return
        await self._repairer.write(closed(record, newest.status), why="ended")


def _ends(found: Iterable[WorkflowExecution]) -> Iterator[datetime]:
    return (each.close_time for each in found if each.close_time is not None)
