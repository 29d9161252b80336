"""Looks for open jobs that Temporal does not know any more, as after a loss of its database."""

from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager
from heapq import nsmallest

from services.api.dependencies import Dependencies
from services.api.feed.feed import Feed
from services.api.periodic import periodically
from services.api.repair.repairer import Repairer
from services.api.temporal.client import Temporal
from shared.jobs.messages import Job
from shared.jobs.states import Status

LOOK_SECONDS = 60.0
# So many jobs that run, and as many that wait, are looked for in a round.
PER_ROUND = 20


class UnknownJobs:
    """Each open job has its turn; the rounds cost the same however many there are."""

    def __init__(
        self, feed: Feed, temporal: Temporal, repairer: Repairer, *, dependencies: Dependencies
    ) -> None:
        self._dependencies = dependencies
        self._feed = feed
        self._temporal = temporal
        self._repairer = repairer
        self._round = 0
        # In which round a job was last looked for.
        self._looked_for: dict[str, int] = {}

    def running(self) -> AbstractAsyncContextManager[None]:
        """Look every minute until the end."""
        return periodically(self.look, LOOK_SECONDS)

    async def look(self) -> None:
        """One round; NotReady."""
        self._round += 1
        jobs = self._feed.index.open()
        self._looked_for = {job.job_id: self._looked_for.get(job.job_id, 0) for job in jobs}
        running = self._next(job for job in jobs if job.status is Status.RUNNING)
        waiting = self._next(job for job in jobs if job.status is Status.QUEUED)
        if running or waiting:
            await self._dependencies.require()
        for job in (*running, *waiting):
            self._looked_for[job.job_id] = self._round
            if not await self._temporal.knows(job.job_id):
                await self._repairer.close_forgotten(job.job_id)

    def _next(self, jobs: Iterable[Job]) -> list[Job]:
        """Those that were not looked for for longest, the oldest of them first."""
        return nsmallest(
            PER_ROUND, jobs, key=lambda job: (self._looked_for[job.job_id], job.created_at)
        )
