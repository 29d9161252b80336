"""The jobs of a chaos run: a queue that never runs dry, and where each of its jobs is."""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

from loadtest.books.raw import RunFolder
from loadtest.collect.collector import job_of
from loadtest.run.plan import planned
from loadtest.run.stage import Stage, background
from loadtest.wire.http import Unreachable
from loadtest.wire.stack import Stack
from loadtest.wire.vendor import Vendor
from tests.chaos.schedule import Stage as Place

PAUSE = 0.05
AT_ONCE = 8


class Crowd(Stage):
    """A stage that submits jobs as they are needed, so that `backlog` are always open."""

    patience = 120.0

    def __init__(self, folder: RunFolder, stack: Stack, *, seed: int, number: int) -> None:
        super().__init__(folder, planned("1,1", seed=seed), stack, number=number)
        self.backlog = self.jobs = 0
        self._draw = Random(f"{seed} {number}")  # noqa: S311 - repeatable on purpose
        self._under_way: set[asyncio.Task[str | None]] = set()

    def running(self) -> Any:
        """Follow the jobs, and keep the queue as long as is wanted, while the block runs."""
        return background(self._feed.run(), self._poller.run(), self._keep())

    async def waiting(self, number: int, *, seconds: float) -> bool:
        """Let the queue grow, and return when so many are open; False when time is up."""
        before, self.backlog = self.backlog, max(self.backlog, number + AT_ONCE)
        try:
            async with asyncio.timeout(seconds):
                while len(self.tracker.open) <= number:
                    await self.tracker.wait(PAUSE)
        except TimeoutError:
            return False
        finally:
            self.backlog = before
        return True

    @property
    def last_ended(self) -> str | None:
        ended = [job for job in self.tracker.jobs.values() if job.get("finished_at")]
        latest = max(ended, key=lambda job: str(job["finished_at"]), default=None)
        return None if latest is None else str(latest["job_id"])

    async def submit(self, **fields: Any) -> str | None:
        """One job with these fields instead of drawn ones; its id."""
        index, self.jobs = self.jobs, self.jobs + 1
        # A few overtake.
        fields = {"priority": 2} | fields if self._draw.random() < 0.15 else fields
        job_id = await self._submit_one(index, time.time(), **fields)
        if job_id is None:
            # A refusal is a violation; there is no need for thousands.
            await asyncio.sleep(1)
        return job_id

    async def _keep(self) -> None:
        try:
            while True:
                while self._is_short():
                    task = asyncio.create_task(self.submit())
                    self._under_way.add(task)
                    task.add_done_callback(self._under_way.discard)
                await asyncio.sleep(PAUSE)
        finally:
            await asyncio.gather(*self._under_way, return_exceptions=True)

    def _is_short(self) -> bool:
        open_jobs = len(self.tracker.open) + len(self._under_way)
        return open_jobs < self.backlog and len(self._under_way) < AT_ONCE

    async def all_ended(self, *, seconds: float) -> bool:
        """Submission no more, and return when every job has ended; False when time is up."""
        self.backlog = 0
        await asyncio.gather(*self._under_way)
        try:
            async with asyncio.timeout(seconds):
                while self.tracker.open:
                    await self.tracker.wait(0.5)
        except TimeoutError:
            return False
        await self._poller.poll()
        return True

    async def close(self) -> None:
        self.why = "not all ended" if self.tracker.open else "done"
        await self._note_end()

    async def slots(self) -> dict[str, Any]:
        """Who holds and who waits, by the API; empty where it does not say."""
        try:
            return dict(await self._api.read("/slots"))
        except Unreachable:
            return {}


LOOK_PAUSE = 0.01
# Between its acceptance and this age a video counts as just submitted.
JUST_NOW = 0.08
# Behind so many, a job that waits is not about to have its turn.
FIRST_FEW = 3
Row = dict[str, Any]


class Places:
    """Finds jobs by where they are."""

    def __init__(self, *, images: Vendor, videos: Vendor, data_dir: Path) -> None:
        self.images, self.videos = images, videos
        self._records = data_dir / "state" / "jobs"

    async def reach(
        self, place: Place, jobs: Callable[[], set[str]], *, seconds: float
    ) -> str | None:
        """A job of these that is there now, as soon as there is one; None when time is up."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            try:
                if found := await self._at(place, jobs()):
                    return found
            except (Unreachable, OSError):
                pass
            await asyncio.sleep(LOOK_PAUSE)
        return None

    async def _at(self, place: Place, jobs: set[str]) -> str | None:
        match place:
            case Place.QUEUED:
                return next(iter(self._queued(jobs)[FIRST_FEW:]), None)
            case Place.NEXT:
                return next(iter(self._queued(jobs)), None)
            case Place.IMAGE:
                return self._open(await _newest(self.images), jobs)
            case Place.STORING:
                return self._storing(await _newest(self.videos), jobs)
            case _:
                row = await _newest(self.videos)
                new = row is not None and time.time() - row["accepted_ts"] < JUST_NOW
                return self._open(row, jobs) if new == (place is Place.SUBMITTED) else None

    def _open(self, row: Row | None, jobs: set[str]) -> str | None:
        owner = job_of(row) if row and row["finished_ts"] is None else None
        return owner if owner in jobs else None

    def _storing(self, row: Row | None, jobs: set[str]) -> str | None:
        owner = job_of(row) if row and row["outcome"] == "succeeded" else None
        return owner if owner in jobs and self._status(owner) == "running" else None

    def _queued(self, jobs: set[str]) -> list[str]:
        """Those that wait, in the order of their turn."""
        found = [record for record in self._read(jobs) if record["status"] == "queued"]
        found.sort(key=lambda record: (record["priority"], record["created_at"]))
        return [record["job_id"] for record in found]

    def _status(self, job_id: str) -> str | None:
        return next((record["status"] for record in self._read({job_id})), None)

    def _read(self, jobs: set[str]) -> Iterator[Row]:
        for job_id in jobs:
            try:
                yield json.loads((self._records / f"{job_id}.json").read_bytes())
            except FileNotFoundError:
                continue


async def _newest(vendor: Vendor) -> Row | None:
    rows = await vendor.ledger(newest=1)
    return rows[-1] if rows else None
