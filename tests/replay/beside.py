"""A write of the record outlives its workflow task, and the next task goes on beside it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from threading import Event

import pytest
from temporalio.client import Client

from services.worker import activities
from services.worker.acting.records import StateActivities
from services.worker.activities import StageActivities
from services.worker.deterministic import stages
from services.worker.models import Recorded, Stored, VideoWatch
from shared.jobs.messages import ProgressReport, Record
from shared.temporal.client import PROGRESS_SIGNAL
from tests.workflow.pipeline import Pipeline, working
from tests.workflow.scenarios import rule
from tests.workflow.test_callbacks import call_back

NEVER = 3600
LONG_SECONDS = 60
# So that what is sent meanwhile is sure to come before the end; then the vendor hurries.
LONG = rule("start", "slow", extra=1000 * LONG_SECONDS)
SLOW, WAITS = "it is written slowly", "it waits for that write"


class Slowness:
    """`SLOW` is written until the video's fetch has begun, and that lasts until `WAITS` is."""

    def __init__(self) -> None:
        self.writes, self._fetches, self._has_written = Event(), Event(), Event()

    def put_in(self, patch: pytest.MonkeyPatch) -> None:
        write, fetch = StateActivities._record, StageActivities._fetch_at_once

        def slow(activities: StateActivities, record: Record) -> Recorded:
            note = record.transitions[-1].note
            if note == SLOW:
                self.writes.set()
                self._fetches.wait(LONG_SECONDS)
            recorded = write(activities, record)
            if note == WAITS:
                self._has_written.set()
            return recorded

        async def slower(activities: StageActivities, watch: VideoWatch) -> Stored | None:
            self._fetches.set()
            await asyncio.to_thread(self._has_written.wait, LONG_SECONDS)
            return await fetch(activities, watch)

        patch.setattr(StateActivities, "_record", slow)
        patch.setattr(StageActivities, "_fetch_at_once", slower)
        patch.setattr(activities, "AT_ONCE_SECONDS", LONG_SECONDS)
        patch.setattr(stages, "LOCAL_TIMEOUT", timedelta(seconds=LONG_SECONDS))


@contextlib.asynccontextmanager
async def called_back_beside_a_write(client: Client, folder: Path) -> AsyncIterator[str]:
    """A job that has ended: its callback came while a report waited for another one's write."""
    slowness = Slowness()
    with pytest.MonkeyPatch.context() as patch:
        slowness.put_in(patch)
        async with working(client, folder, video_poll_seconds=NEVER) as line:
            await line.videos.arm(rule("callback", "lose"), LONG)
            job_id = await line.submit()
            await line.noted(job_id, "video accepted")
            video = f"{job_id}.video.1"
            await _report(line, video, SLOW)
            await asyncio.to_thread(slowness.writes.wait, LONG_SECONDS)
            await _report(line, video, WAITS)
            await line.videos.hurry()
            await call_back(line, video, "succeed", at=1)
            await line.ended(job_id)
            yield job_id


async def _report(line: Pipeline, external_id: str, waiting: str) -> None:
    report = ProgressReport(external_id=external_id, percent=1, waiting=waiting)
    job_id = external_id.partition(".")[0]
    await line.job(job_id).signal(PROGRESS_SIGNAL, report)
