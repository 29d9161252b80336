"""The watch on the state folder outlives the folder itself."""

import shutil
from pathlib import Path

import pytest

from services.api.feed import watch
from services.api.feed.watch import JobWatch
from shared.jobs.ids import new_job_id
from shared.jobs.messages import Job
from shared.store.records import RecordStore
from tests.shared.standins import sample_record
from tests.shared.waiting import eventually


@pytest.fixture(autouse=True)
def _no_scan_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "SCAN_SECONDS", 3600)
    monkeypatch.setattr(watch, "LOOK_MILLISECONDS", 50)


async def known(feed: JobWatch, job_id: str) -> Job:
    async def look() -> Job | None:
        return feed.index.get(job_id)

    job = await eventually(look)
    assert job is not None
    return job


async def test_a_folder_that_is_removed_is_watched_again(tmp_path: Path) -> None:
    records = RecordStore(tmp_path)
    feed = JobWatch(records)
    async with feed.running():
        first = sample_record(new_job_id())
        records.write(first)
        await known(feed, first.job_id)
        for _ in range(2):
            shutil.rmtree(tmp_path / "state")

            async def again() -> bool:
                return records.folder.is_dir()

            await eventually(again)
            for _ in range(3):
                record = sample_record(new_job_id())
                records.write(record)
                assert (await known(feed, record.job_id)).version == 1


async def test_a_folder_that_was_replaced_at_once_is_read_anew(tmp_path: Path) -> None:
    records, elsewhere = RecordStore(tmp_path), RecordStore(tmp_path / "new")
    feed = JobWatch(records)
    async with feed.running():
        record = sample_record(new_job_id())
        elsewhere.write(record)
        (tmp_path / "state").rename(tmp_path / "old")
        (tmp_path / "new" / "state").rename(tmp_path / "state")
        await known(feed, record.job_id)


async def test_a_link_that_leads_nowhere_hides_no_other_record(tmp_path: Path) -> None:
    records, record = RecordStore(tmp_path), sample_record(new_job_id())
    records.write(record)
    circle = records.path(new_job_id())
    circle.symlink_to(circle)
    feed = JobWatch(records)
    async with feed.running():
        assert feed.index.get(record.job_id) is not None
        assert feed.damaged == {circle.stem}
