"""A disk that is really full: jobs go on, records catch up, files are fetched again."""

from pathlib import Path

import pytest
from prometheus_client import REGISTRY
from temporalio.client import Client

from services.api.dependencies import Dependencies
from services.api.feed.watch import JobWatch
from services.api.repair.reconcile import Reconciler
from services.api.repair.repairer import Repairer
from services.api.temporal.client import Temporal
from services.semaphore.worker import running_semaphore
from services.worker.acting import heartbeat
from services.worker.results.disk import Disk
from services.worker.worker import running_worker
from shared.jobs.messages import Attempts
from shared.jobs.states import Status, Step
from shared.store.records import RecordStore
from tests.fixtures.eventually import eventually
from tests.fixtures.small_disk import NewDisk
from tests.workflow.pipeline import Pipeline, check, pipeline
from tests.workflow.scenarios import rule

# A minute, so that the disk is sure to fill up, or to have room again, before; then the vendor
# hurries.
LONG = rule("start", "slow", extra=60_000)


@pytest.fixture(autouse=True)
def _soon_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "WAITING_TRIES", 2)


def refusals(folder: str) -> float:
    name = "genvideo_worker_disk_refused_total"
    return REGISTRY.get_sample_value(name, {"folder": folder}) or 0.0


async def test_without_room_for_records_jobs_run_and_records_catch_up(
    client: Client, tmp_path: Path, small_disk: NewDisk
) -> None:
    state, disk = small_disk(tmp_path / "state"), Disk(tmp_path)
    async with (
        pipeline(client, tmp_path) as line,
        running_semaphore(client, shutdown_seconds=0.1),
        running_worker(line.settings, client, disk=disk),
    ):
        await line.images.arm(LONG)
        job_id = await line.submit()
        before = await line.until(job_id, Status.RUNNING)
        state.fill()
        await line.images.hurry()
        progress = await line.job(job_id).result()
        assert progress.status is Status.SUCCEEDED
        assert line.records.read(job_id) == before
        assert await disk.reason() == "state: No space left on device"
        assert refusals("state") >= 1
        reconciler = await reconciler_of(line, job_id)
        await reconciler.reconcile()
        assert line.records.read(job_id) == before
        state.free()
        assert await disk.reason() is None
        await reconciler.reconcile()
        record = line.record(job_id)
        check(record)
        assert (record.status, record.version) == (Status.SUCCEEDED, progress.version)


async def reconciler_of(line: Pipeline, job_id: str) -> Reconciler:
    """An API's, which knows the job by its record alone, once visibility knows its end."""
    watch = JobWatch(RecordStore(line.settings.data_dir))
    watch.put_record(line.record(job_id))

    async def ended() -> list[object]:
        return [each async for each in line.client.list_workflows("ExecutionStatus='Completed'")]

    await eventually(ended, bool)
    temporal, ready = Temporal(line.client), Dependencies({})
    return Reconciler(watch, temporal, Repairer(watch, temporal, ready), dependencies=ready)


async def test_room_again_in_mid_job_and_the_next_version_has_it_all(
    client: Client, tmp_path: Path, small_disk: NewDisk
) -> None:
    state = small_disk(tmp_path / "state")
    async with (
        pipeline(client, tmp_path) as line,
        running_semaphore(client, shutdown_seconds=0.1),
        running_worker(line.settings, client),
    ):
        await line.videos.arm(LONG)
        state.fill()
        job_id = await line.submit()
        await line.videos.until(
            f"/admin/ledger?external_id={job_id}.video.1", lambda rows: len(rows) > 0
        )
        assert line.records.read(job_id) is None
        state.free()
        await line.videos.hurry()
        record = await line.ended(job_id)
        assert record.status is Status.SUCCEEDED


@pytest.mark.parametrize("step", list(Step))
async def test_without_room_for_a_file_it_is_fetched_later_and_paid_for_once(
    client: Client, tmp_path: Path, small_disk: NewDisk, step: Step
) -> None:
    assets, disk = small_disk(tmp_path / "assets"), Disk(tmp_path)
    async with (
        pipeline(client, tmp_path) as line,
        running_semaphore(client, shutdown_seconds=0.1),
        running_worker(line.settings, client, disk=disk),
    ):
        service = line.images if step is Step.IMAGE else line.videos
        await service.arm(LONG)
        job_id = await line.submit()
        if step is Step.VIDEO:
            await line.noted(job_id, "image stored")
        assets.fill()
        await service.hurry()
        record = await line.noted(job_id, f"waiting to store the {step}: Our disk: No space left")
        assert record.status is Status.RUNNING
        assert await disk.reason() == "assets: No space left on device"
        assets.free()
        record = await line.ended(job_id)
        assert (record.status, record.attempts) == (Status.SUCCEEDED, Attempts(image=1, video=1))
        for service in (line.images, line.videos):
            assert [row["charged"] for row in await service.json("/admin/ledger")] == [True]
        assert [path.suffix for path in (tmp_path / "assets" / job_id).iterdir()] != [".part"]
