"""Each case of the race of callback and poll has one outcome: that of the table in race.py."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from temporalio.client import Client

from shared.jobs.messages import Record
from tests.fixtures.eventually import eventually
from tests.workflow.pipeline import Pipeline, working
from tests.workflow.race import call_back, decided, fates
from tests.workflow.scenarios import FIRST_ATTEMPT, rule

NEVER = 3600
LOST = rule("callback", "lose")
# A minute, so that what is sent meanwhile is sure to come before the end; then the vendor hurries.
LONG = rule("start", "slow", extra=60_000)
LONG_AGAIN = {**LONG, "often": {"attempts": 2}}


@pytest.fixture
async def unpolled(client: Client, tmp_path: Path) -> AsyncIterator[Pipeline]:
    """A worker that looks once and then trusts in the callback."""
    async with working(client, tmp_path, video_poll_seconds=NEVER) as line:
        yield line


@pytest.fixture
async def polled(client: Client, tmp_path: Path) -> AsyncIterator[Pipeline]:
    async with working(client, tmp_path, video_poll_seconds=0.05) as line:
        yield line


async def begun(line: Pipeline, attempt: int = 1) -> str:
    """A job whose video the vendor has, and whose record says so."""
    job_id = await line.submit()

    async def look() -> Record | None:
        return line.records.read(job_id)

    def accepted(record: Record | None) -> bool:
        return record is not None and f"{job_id}.video.{attempt}" in record.tasks

    await eventually(look, accepted)
    return job_id


async def test_callback_first(unpolled: Pipeline) -> None:
    await unpolled.videos.arm(LOST, LONG)
    job_id = await begun(unpolled)
    await call_back(unpolled, f"{job_id}.video.1", "succeed", at=1)
    await unpolled.videos.hurry()
    await decided(unpolled, "callback first", job_id)


async def test_callback_never(polled: Pipeline) -> None:
    await polled.videos.arm(LOST)
    job_id = await polled.submit()
    await decided(polled, "callback never", job_id)


async def test_callback_twice(unpolled: Pipeline) -> None:
    await unpolled.videos.arm(LOST, LONG)
    job_id = await begun(unpolled)
    await call_back(unpolled, f"{job_id}.video.1", "succeed", at=1)
    await call_back(unpolled, f"{job_id}.video.1", "succeed", at=1)
    await unpolled.videos.hurry()
    await decided(unpolled, "callback twice", job_id)


async def test_failed_after_succeed(unpolled: Pipeline) -> None:
    await unpolled.videos.arm(LOST, LONG)
    job_id = await begun(unpolled)
    await call_back(unpolled, f"{job_id}.video.1", "succeed", at=1)
    await call_back(unpolled, f"{job_id}.video.1", "failed", at=2)
    await unpolled.videos.hurry()
    await decided(unpolled, "failed after succeed", job_id)


async def test_succeed_after_failed(unpolled: Pipeline) -> None:
    """The vendor's books know of no failure, so none is counted."""
    await unpolled.videos.arm(LOST, LONG)
    job_id = await begun(unpolled)
    await call_back(unpolled, f"{job_id}.video.1", "failed", at=1)
    await call_back(unpolled, f"{job_id}.video.1", "succeed", at=2)
    await unpolled.videos.hurry()
    await decided(unpolled, "succeed after failed", job_id)


async def test_another_attempts_callback(polled: Pipeline) -> None:
    await polled.videos.arm(LOST, {**rule("start", "fail"), "often": FIRST_ATTEMPT}, LONG_AGAIN)
    job_id = await begun(polled, attempt=2)
    await call_back(polled, f"{job_id}.video.1", "succeed", at=1)
    await polled.videos.hurry()
    await decided(polled, "another attempt's callback", job_id)


async def test_callback_before_the_submits_reply(unpolled: Pipeline) -> None:
    await unpolled.videos.arm(rule("submit", "delay", seconds=60_000))
    job_id = await unpolled.submit()
    await fates(unpolled, job_id, 1)
    await unpolled.videos.hurry()
    await decided(unpolled, "callback before the submit's reply", job_id)


async def test_late_after_the_end(polled: Pipeline) -> None:
    await polled.videos.arm(LOST)
    ended = await polled.run()
    await call_back(polled, f"{ended.job_id}.video.1", "failed", at=1)
    assert await decided(polled, "late after the end", ended.job_id) == ended
