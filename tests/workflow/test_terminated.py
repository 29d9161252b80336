"""A job that is ended from outside: its record is closed, its vendor cleared before the next."""

from pathlib import Path

import pytest
from temporalio.client import Client

from services.semaphore.worker import running_semaphore
from services.worker.worker import running_worker
from shared.jobs.states import Status
from shared.semaphore import starts
from tests.fixtures.semaphore_history import is_drained
from tests.workflow.pipeline import Pipeline, check, pipeline
from tests.workflow.test_cancelling import LONG, begun


@pytest.mark.parametrize("stage", ["image", "video"])
async def test_its_record_is_closed_and_the_vendor_cleared(
    line: Pipeline, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    monkeypatch.setattr(starts, "DRAIN_HOLD_SECONDS", 0.3)
    service = line.images if stage == "image" else line.videos
    await service.arm({**LONG, "match": {"prompt": "bad"}})
    job_id = await line.submit("bad")
    await begun(service, f"{job_id}.{stage}.1")
    following = await line.submit("good")
    await line.job(job_id).terminate()
    await is_drained(line.client, job_id)
    if stage == "video":
        await line.videos.hurry()
    assert (await line.ended(following)).status is Status.SUCCEEDED
    record = line.record(job_id)
    check(record)
    assert record.status is Status.FAILED
    assert record.error is not None
    assert record.error.code == "terminated"
    row = await service.row(f"{job_id}.{stage}.1")
    assert row["outcome"] == ("cancelled" if stage == "image" else "succeeded")
    next_row = await line.images.row(f"{following}.image.1")
    assert row["finished_ts"] <= next_row["accepted_ts"]


async def test_while_no_semaphore_runs(client: Client, tmp_path: Path) -> None:
    """The semaphore's process comes back to a holder that is gone and a vendor that is busy."""
    async with pipeline(client, tmp_path) as line, running_worker(line.settings, client):
        await line.videos.arm({**LONG, "match": {"prompt": "bad"}})
        async with running_semaphore(client, shutdown_seconds=0.1):
            job_id = await line.submit("bad")
            await begun(line.videos, f"{job_id}.video.1")
            following = await line.submit("good")
            await line.slots(lambda view: view.waiting == (following,))
        await line.job(job_id).terminate()
        async with running_semaphore(client, shutdown_seconds=0.1):
            await is_drained(client, job_id)
            await line.videos.hurry()
            assert (await line.ended(following)).status is Status.SUCCEEDED
        row = await line.videos.row(f"{job_id}.video.1")
        next_row = await line.images.row(f"{following}.image.1")
        assert row["finished_ts"] <= next_row["accepted_ts"]
