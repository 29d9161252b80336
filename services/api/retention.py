"""How long a job is kept after its end; an open one is, however old it may be."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from shared.jobs.messages import Job

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The time of day."""
    return datetime.now(UTC)


class Retention:
    """Says whose time is over, after so many days; never without a number of them."""

    def __init__(self, days: float | None = None, *, now: Clock = utc_now) -> None:
        self._kept = None if days is None else timedelta(days=days)
        self._now = now

    def over(self, job: Job) -> bool:
        """Whether a job, or the job of a record, ended so long ago that it is as if unknown."""
        return job.status.ended and self.past(job.finished_at)

    def past(self, end: datetime | None) -> bool:
        """Whether an end lies so far back; None is none."""
        return self._kept is not None and end is not None and self._now() - end > self._kept
