"""A disk that is full: jobs go on, and their records and files catch up."""

from pathlib import Path

import pytest
from prometheus_client import REGISTRY
from temporalio.client import Client

from services.api.service import Service, make_service
from services.api.settings import ApiSettings
from services.semaphore.worker import running_semaphore
from services.worker.worker import running_worker
from shared.files import folder_reason
from shared.jobs.genvideo import GENVIDEO
from shared.jobs.states import Status
from shared.pipeline import heartbeat
from tests.fixtures.eventually import eventually
from tests.fixtures.small_disk import NewDisk
from tests.workflow.pipeline import LONG, Pipeline, check, once, pipeline


@pytest.fixture(autouse=True)
def _soon_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "WAITING_TRIES", 2)


# A disk that is full


def refusals(folder: str) -> float:
    name = "genvideo_worker_disk_refused_total"
    return REGISTRY.get_sample_value(name, {"folder": folder}) or 0.0


async def test_jobs_run_without_room_for_records_which_catch_up(
    client: Client, tmp_path: Path, small_disk: NewDisk
) -> None:
    state = small_disk(tmp_path / "state")
    async with (
        pipeline(client, tmp_path) as line,
        running_semaphore(client, shutdown_seconds=0.1),
        running_worker(line.settings, client),
    ):
        await line.images.arm(LONG)
        job_id = await line.submit()
        before = await line.until(job_id, Status.RUNNING)
        state.fill()
        await line.images.hurry()
        progress = await line.job(job_id).result()
        assert progress.status is Status.SUCCEEDED
        assert line.records.read(job_id) == before
        assert refusals("state") >= 1
        api = await api_of(line)
        for _ in range(2):
            await api.follower.poll()
        assert line.records.read(job_id) == before
        state.free()
        await api.follower.poll()
        record = line.record(job_id)
        check(record)
        assert (record.status, record.version) == (Status.SUCCEEDED, progress.version)


async def api_of(line: Pipeline) -> Service:
    """An API's parts, which know the job by its record alone, once visibility knows its end."""
    api = make_service(ApiSettings(data_dir=line.settings.data_dir), line.client)
    await api.follower.sweep()

    async def ended() -> list[object]:
        return [each async for each in line.client.list_workflows("ExecutionStatus='Completed'")]

    await eventually(ended, bool)
    return api


async def test_without_room_a_file_is_fetched_later_and_paid_once(
    client: Client, tmp_path: Path, small_disk: NewDisk
) -> None:
    assets = small_disk(tmp_path / "assets")
    async with (
        pipeline(client, tmp_path) as line,
        running_semaphore(client, shutdown_seconds=0.1),
        running_worker(line.settings, client),
    ):
        await line.videos.arm(LONG)
        job_id = await line.submit()
        await line.noted(job_id, "image stored")
        assets.fill()
        await line.videos.hurry()
        record = await line.noted(job_id, "waiting to store the video: Our disk: No space left")
        assert record.status is Status.RUNNING
        assert folder_reason(tmp_path / "assets") == "No space left on device"
        assets.free()
        record = await line.ended(job_id)
        assert (record.status, record.attempts) == (Status.SUCCEEDED, once())
        for each in GENVIDEO.names:
            assert [row["charged"] for row in await line.ledger(each)] == [True]
        assert [path.suffix for path in (tmp_path / "assets" / job_id).iterdir()] != [".part"]
