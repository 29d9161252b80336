"""What the runner has seen of a stage's jobs so far; a version never goes back in it."""

import asyncio
import time
from collections import Counter
from typing import Any

from loadtest.times import instant

ENDED = frozenset({"succeeded", "degraded", "failed", "cancelled"})


class Tracker:
    """Folds frames and polled jobs of one tag into the newest state of each job."""

    def __init__(self, tag: str) -> None:
        self.tag = tag
        self.jobs: dict[str, dict[str, Any]] = {}
        self.counts: Counter[str] = Counter()
        self.open: set[str] = set()
        self.refused = 0
        self.fastest: float | None = None
        """Seconds from start to end of the quickest job so far: what no queue can beat."""
        self.last_change = time.monotonic()
        self._frames: list[dict[str, Any]] = []
        self._expected: set[str] = set()
        self._changed = asyncio.Event()

    def expect(self, job_id: str) -> None:
        """Note a job that the API has accepted."""
        self._expected.add(job_id)
        if self.jobs.get(job_id, {}).get("status") not in ENDED:
            self.open.add(job_id)
        self.touch()

    def see(self, job: dict[str, Any], *, source: str) -> None:
        """Take in a job as the API shows it; others' jobs and old news are left out."""
        if job.get("tag") != self.tag:
            return
        known = self.jobs.get(job["job_id"])
        version, seen = job.get("version", 0), known.get("version", 0) if known else -1
        if version == seen or (version < seen and source == "poll"):
            return
        # A version that goes back on the feed is evidence, to be judged later; it changes nothing.
        self._frames.append(_frame(job, source))
        if version > seen:
            self._take(job, known)

    def _take(self, job: dict[str, Any], known: dict[str, Any] | None) -> None:
        if known is not None:
            self.counts[str(known.get("status"))] -= 1
        self.counts[str(job.get("status"))] += 1
        self.jobs[job["job_id"]] = job
        if job.get("status") in ENDED:
            self.open.discard(job["job_id"])
            self._time(job)
        self.touch()

    def _time(self, job: dict[str, Any]) -> None:
        began, ended = instant(job.get("started_at")), instant(job.get("finished_at"))
        if began is not None and ended is not None and job.get("status") == "succeeded":
            self.fastest = min(ended - began, self.fastest or ended - began)

    def touch(self) -> None:
        self.last_change = time.monotonic()
        self._changed.set()

    def take_frames(self) -> list[dict[str, Any]]:
        """The frames since the last call, to be written down."""
        frames, self._frames = self._frames, []
        return frames

    async def wait(self, seconds: float) -> None:
        """Until something changes, or the time is over."""
        # Forgets what changed since the caller last looked; the time limit bounds what that costs.
        self._changed.clear()
        try:
            await asyncio.wait_for(self._changed.wait(), seconds)
        except TimeoutError:
            return

    @property
    def known(self) -> set[str]:
        """Every job of the tag that was accepted or shown."""
        return self._expected | self.jobs.keys()

    @property
    def accepted(self) -> int:
        return len(self._expected)

    @property
    def ended(self) -> int:
        return sum(self.counts[status] for status in ENDED)


def _frame(job: dict[str, Any], source: str) -> dict[str, Any]:
    return {
        "at": round(time.time(), 6),
        "source": source,
        **{key: job.get(key) for key in ("job_id", "version", "status", "step", "percent")},
    }
