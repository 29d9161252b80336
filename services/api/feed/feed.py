"""Every job that this process knows, and the hub of their changes; used on the event loop only."""

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from services.api.feed.hub import Frame, Hub
from services.api.feed.index import JobIndex
from services.api.metrics import CHANGES
from shared.jobs.messages import Job, Record, started_at

# This many jobs are looked up and written as JSON at a time.
PAGE = 10


class Retention:
    """How long a job is kept after its end; without a number of days for good."""

    def __init__(
        self,
        days: float | None = None,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._kept = None if days is None else timedelta(days=days)
        self._now = now

    def over(self, job: Job) -> bool:
        """True if a job, or the job of a record, ended so long ago that it counts as unknown."""
        return job.status.ended and self.past(job.finished_at)

    def past(self, end: datetime | None) -> bool:
        """True if an end is older than the retention."""
        return self._kept is not None and end is not None and self._now() - end > self._kept


class Feed:
    """The index of all jobs and the hub of their changes; each version is published once."""

    def __init__(self, hub: Hub | None = None, *, retention: Retention | None = None) -> None:
        self.retention = retention or Retention()
        self.index = JobIndex()
        self.hub = hub or Hub()
        # Jobs whose record must be written again, and jobs to remove, for other tasks.
        self.damaged: dict[str, None] = {}
        self.expired: dict[str, None] = {}

    def put(self, job: Job) -> None:
        """Take a job's state; one that is not newer than the known one changes nothing."""
        if self.retention.over(job) and self.index.get(job.job_id) is None:
            self.expired[job.job_id] = None
        elif self.index.put(job):
            CHANGES.inc()
            self.hub.publish(job, self.index.change)

    def put_record(self, record: Record) -> Job:
        """Take a record: publish each version since the last known one, and return the newest."""
        known = self.index.get(record.job_id)
        for job in [record.job()] if known is None else versions_after(record, known.version):
            self.put(job)
        return self.index.get(record.job_id) or record.job()

    def forget_expired(self) -> None:
        """Forget the jobs whose retention is over."""
        over = [job.job_id for job in self.index.ended() if self.retention.over(job)]
        if over:
            self.index.forget(set(over))
            self.expired.update(dict.fromkeys(over))

    def changes(self, since: int = 0, shown: Callable[[Job], Job] = lambda job: job) -> "Changes":
        """Return every job that has changed after that change, then each change, for one
        listener."""
        return Changes(self.hub, self.index, since=since, shown=shown)


class Changes:
    """A listener's position in the numbered changes; nothing is stored for it.

    While the hub still has every later change, each of them is sent; otherwise the newest state of
    the changed jobs, page by page. What was known at the beginning is `shown` first.
    """

    def __init__(
        self, hub: Hub, index: JobIndex, *, since: int, shown: Callable[[Job], Job]
    ) -> None:
        self._hub = hub
        self._index = index
        self._change = since
        self._known = index.change
        self._shown = shown

    @property
    def mark(self) -> str:
        """Return the end of what was known, as JSON: where to continue, and the number of jobs."""
        known = {"complete": self._hub.named(self._change), "jobs": len(self._index)}
        return json.dumps(known)

    def add(self, frame: Frame) -> None:
        """Store nothing, because it is looked up when it is taken."""

    def take(self) -> list[Frame]:
        """Return the next changes in order."""
        frames = self._recent()
        if frames is None:
            frames = [
                self._hub.frame(self._shown(job) if change <= self._known else job, change)
                for change, job in self._index.changed_after(self._change, PAGE)
            ]
        if frames:
            self._change = frames[-1].number
        return frames

    async def turn(self) -> None:
        """Let others go on: of the listeners that are behind, one at a time gets a page."""
        if self._recent() is not None:
            await asyncio.sleep(0)
            return
        async with self._hub.catching_up:
            await asyncio.sleep(0)

    def _recent(self) -> list[Frame] | None:
        return self._hub.recent_after(self._change) if self._change >= self._known else None


def versions_after(record: Record, version: int) -> list[Job]:
    """Yield each version above `version` of the record, the newest (whole) one last."""
    earlier = [
        _as_of(record, place)
        for place, change in enumerate(record.transitions)
        if version < change.version < record.version
    ]
    return [*earlier, record.job()] if record.version > version else []


def _as_of(record: Record, place: int) -> Job:
    """Return the record as it was right after its transition number `place`."""
    change = record.transitions[place]
    return record.job().model_copy(
        update={
            "version": change.version,
            "status": change.status,
            "step": change.step,
            "percent": change.percent,
            "attempts": change.attempts,
            "asset_url": change.asset_url,
            "vendor_position": change.vendor_position,
            "error": change.error,
            "started_at": started_at(record.transitions[: place + 1]),
            "finished_at": change.at if change.status.ended else None,
        }
    )
