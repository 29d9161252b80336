"""What is known of a stage's jobs while it runs: the WebSocket is quick, the polling counts."""

import asyncio
import time
from collections import Counter
from typing import Any

from loadtest.wire.api import Api, Feed
from loadtest.wire.http import Unreachable

ENDED = frozenset({"succeeded", "degraded", "failed", "cancelled"})


class Tracker:
    """Folds frames and polled jobs of one tag into the newest state of each job."""

    def __init__(self, tag: str) -> None:
        self.tag = tag
        self.jobs: dict[str, dict[str, Any]] = {}
        self.counts: Counter[str] = Counter()
        self.open: set[str] = set()
        self.refused = 0
        self.holders: set[str] = set()
        """Jobs that were seen to hold the slot, others' among them."""
        self.last_change = time.monotonic()
        self._frames: list[dict[str, Any]] = []
        self._expected: set[str] = set()
        self._changed = asyncio.Event()

    def expect(self, job_id: str) -> None:
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
        names = ("job_id", "version", "status", "step", "percent")
        frame = {"at": round(time.time(), 6), "source": source}
        self._frames.append(frame | {name: job.get(name) for name in names})
        if version < seen:
            return
        if known is not None:
            self.counts[str(known.get("status"))] -= 1
        self.counts[str(job.get("status"))] += 1
        self.jobs[job["job_id"]] = job
        if job.get("status") in ENDED:
            self.open.discard(job["job_id"])
        self.touch()

    def touch(self) -> None:
        self.last_change = time.monotonic()
        self._changed.set()

    def take_frames(self) -> list[dict[str, Any]]:
        frames, self._frames = self._frames, []
        return frames

    async def wait(self, seconds: float) -> None:
        """Wait until something changes, or the time is over."""
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


QUIET = 2.0
"""Seconds without news before the API is asked; then at most a twentieth of the time."""


class Poller:
    """Asks the API for what the WebSocket may have missed."""

    def __init__(self, api: Api, tracker: Tracker, feed: Feed) -> None:
        self._api, self._tracker, self._feed = api, tracker, feed
        self.away_since: float | None = None
        self.reason = ""

    async def run(self) -> None:
        """Poll for ever: at once while the feed is down, else only when it is silent."""
        connections = 0
        while True:
            reconnected = self._feed.connections != connections
            connections = self._feed.connections
            quiet = time.monotonic() - self._tracker.last_change > QUIET
            pause = 0.5
            if self._tracker.accepted and (quiet or reconnected or not self._feed.connected):
                pause = max(1.0, 20 * await self.poll())
            await asyncio.sleep(pause)

    async def poll(self) -> float:
        """Read all jobs of the tag once; returns the seconds that it took."""
        began = time.monotonic()
        try:
            async for job in self._api.jobs(self._tracker.tag):
                self._tracker.see(job, source="poll")
            self.away_since = None
        except Unreachable as error:
            # From before the request: its time-out counts as absence, too.
            self.away_since = self.away_since or began
            self.reason = str(error)
        return time.monotonic() - began
