"""Every job that is known, and who hears of it; each version is published once, in order."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol

from services.api.feed.changes import Changes
from services.api.feed.hub import Hub
from services.api.feed.index import JobIndex
from services.api.feed.versions import versions_after
from services.api.metrics import CHANGES
from services.api.retention import Retention
from shared.jobs.messages import Job, JobInput, Record


class Records(Protocol):
    """Where a job's record is kept; called from a thread."""

    def read(self, job_id: str) -> Record | None:
        """The record, or None."""

    def write(self, record: Record) -> bool:
        """Keep it unless a newer one is there; says whether it was kept."""


class Feed(ABC):
    """The index of all jobs and the hub of their changes; used on the event loop alone."""

    # Whether what is known here is kept up to date without a record of each job.
    complete = False

    def __init__(self, records: Records, hub: Hub, *, retention: Retention | None = None) -> None:
        self.records = records
        self.retention = retention or Retention()
        self.index = JobIndex()
        self.hub = hub
        # Files that can't be read as a record; whoever can make one again takes them from here.
        self.damaged: set[str] = set()
        # Jobs whose time is over, the first of them first; likewise, for whoever removes them.
        self.expired: dict[str, None] = {}
        # When something was last new here, by the clock that never goes back.
        self.changed_at = time.monotonic()

    @abstractmethod
    def running(self) -> AbstractAsyncContextManager[None]:
        """Learn of jobs until the end of the block."""

    def changes(self, since: int = 0, shown: Callable[[Job], Job] = lambda job: job) -> Changes:
        """Every job that has changed after that change, then each change, for one listener."""
        return Changes(self.hub, self.index, since=since, shown=shown)

    def put(self, job: Job) -> None:
        """A job's state from elsewhere than its record (just submitted, say)."""
        if self.retention.over(job) and self.index.get(job.job_id) is None:
            self.expired[job.job_id] = None
        elif self.index.put(job):
            CHANGES.inc()
            self.changed_at = time.monotonic()
            self.hub.publish(job, self.index.change)

    def submitted(self, job_id: str, job: JobInput, *, at: datetime) -> None:
        """A job that was just started, then; its record will follow."""
        self.put(Record.of(job, job_id=job_id, run_id="", created_at=at).job())

    def forget_expired(self) -> None:
        """Know no more of those whose time is over by now."""
        over = [job.job_id for job in self.index.ended() if self.retention.over(job)]
        if over:
            self.index.forget(set(over))
            self.expired.update(dict.fromkeys(over))

    def put_record(self, record: Record) -> Job:
        """A record that was read: each version since the last one known; gives the newest."""
        known = self.index.get(record.job_id)
        if known is None:
            self.put(record.job())
        else:
            for job in versions_after(record, known.version):
                self.put(job)
        return self.index.get(record.job_id) or record.job()
