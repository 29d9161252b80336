"""Waiting until some job is at a stage, by its record and by the mocks' ledgers."""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from loadtest.collect.collector import job_of
from loadtest.wire.http import Unreachable
from loadtest.wire.vendor import Vendor
from tests.chaos.schedule import Stage

PAUSE = 0.01
# Between its acceptance and this age a video counts as just submitted.
JUST_NOW = 0.08
# Behind so many, a job that waits is not about to have its turn.
FIRST_FEW = 3
Row = dict[str, Any]


class Places:
    """Finds jobs by where they are."""

    def __init__(self, *, images: Vendor, videos: Vendor, data_dir: Path) -> None:
        self._images, self._videos = images, videos
        self._records = data_dir / "state" / "jobs"

    async def reach(
        self, stage: Stage, jobs: Callable[[], set[str]], *, seconds: float
    ) -> str | None:
        """A job of these that is there now, as soon as there is one; None when time is up."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            try:
                if found := await self._at(stage, jobs()):
                    return found
            except (Unreachable, OSError):
                pass
            await asyncio.sleep(PAUSE)
        return None

    async def _at(self, stage: Stage, jobs: set[str]) -> str | None:
        match stage:
            case Stage.QUEUED:
                return next(iter(self._queued(jobs)[FIRST_FEW:]), None)
            case Stage.NEXT:
                return next(iter(self._queued(jobs)), None)
            case Stage.IMAGE:
                return self._open(await _newest(self._images), jobs)
            case Stage.STORING:
                return self._storing(await _newest(self._videos), jobs)
            case _:
                row = await _newest(self._videos)
                new = row is not None and time.time() - row["accepted_ts"] < JUST_NOW
                return self._open(row, jobs) if new == (stage is Stage.SUBMITTED) else None

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
