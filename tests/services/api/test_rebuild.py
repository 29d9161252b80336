"""All records from Temporal alone: whatever became of the files, and as often as one likes."""

import os
import time
from pathlib import Path

import pytest
from temporalio.client import Client

from services.api.rebuild import Exit, rebuild
from services.api.settings import ApiSettings
from services.api.temporal import Temporal
from shared.files import ABANDONED_SECONDS
from shared.jobs.ids import new_job_id
from shared.jobs.messages import JobInput, Record
from shared.jobs.states import Status
from shared.store.records import RecordStore
from tests.fixtures.eventually import eventually
from tests.fixtures.processes import free_port
from tests.services.api.conftest import ended
from tests.shared.standins import client_of_nobody, sample_record, standing_in


async def jobs(client: Client, count: int) -> list[str]:
    """Jobs that run, as soon as Temporal lists them."""
    temporal, ids = Temporal(client), sorted(new_job_id() for _ in range(count))
    for job_id in ids:
        await temporal.start(job_id, JobInput(prompt="p", style=""))

    async def listed() -> bool:
        return await temporal.job_ids() == set(ids)

    await eventually(listed)
    return ids


async def run(client: Client, data_dir: Path) -> tuple[Exit, list[str]]:
    said: list[str] = []
    return await rebuild(ApiSettings(data_dir=data_dir), client, said.append), said


async def test_missing_and_damaged_records_are_made_again(client: Client, tmp_path: Path) -> None:
    store, ids = RecordStore(tmp_path), await jobs(client, 3)
    missing, damaged, good = ids
    store.write(ended(sample_record(good)))
    store.path(damaged).write_text('{"job_id":')
    async with standing_in(client):
        status, said = await run(client, tmp_path)
        assert sorted(said[:-1]) == sorted(
            [
                f"{missing}: was missing, is queued in version 1",
                f"{damaged}: was damaged, is queued in version 1",
            ]
        )
        assert said[-1] == "3 jobs: 2 records restored (1 missing, 1 damaged), 1 were good"
        assert status is Exit.GOOD
        before = {path: path.read_bytes() for path in store.folder.iterdir()}
        assert (await run(client, tmp_path))[1] == ["3 jobs: 0 records restored, 3 were good"]
    assert {path: path.read_bytes() for path in store.folder.iterdir()} == before
    assert store.read(good) == ended(sample_record(good))


async def test_all_of_them_are_made_again(client: Client, tmp_path: Path) -> None:
    ids = await jobs(client, 12)
    async with standing_in(client):
        _, said = await run(client, tmp_path)
    assert said[-1] == "12 jobs: 12 records restored (12 missing), 0 were good"
    assert sorted(RecordStore(tmp_path).job_ids()) == ids


async def test_a_record_that_is_behind_catches_up(client: Client, tmp_path: Path) -> None:
    """As after a full disk: the file is whole, and older than the workflow."""
    [job_id] = await jobs(client, 1)
    store = RecordStore(tmp_path)
    store.write(sample_record(job_id).model_copy(update={"version": 0}))
    async with standing_in(client):
        _, said = await run(client, tmp_path)
    assert said[0] == f"{job_id}: was behind, is queued in version 1"


async def test_a_job_that_was_terminated_gets_its_end(client: Client, tmp_path: Path) -> None:
    [job_id] = await jobs(client, 1)
    async with standing_in(client):
        await client.get_workflow_handle(job_id).query("told")
        await client.get_workflow_handle(job_id).terminate()
        await run(client, tmp_path)
    record = RecordStore(tmp_path).read(job_id)
    assert isinstance(record, Record)
    assert record.status is Status.FAILED


async def test_a_damaged_record_that_nobody_knows_is_told(client: Client, tmp_path: Path) -> None:
    job_id, store = new_job_id(), RecordStore(tmp_path)
    store.folder.mkdir(parents=True)
    store.path(job_id).write_text("")
    status, said = await run(client, tmp_path)
    assert status is Exit.LEFT
    assert said == [
        f"{job_id}: damaged, and Temporal does not know it any more",
        "1 jobs: 0 records restored, 0 were good, 1 can't be restored",
    ]


async def test_half_written_files_are_removed_when_nobody_writes_them(
    client: Client, tmp_path: Path
) -> None:
    folder = RecordStore(tmp_path).folder
    folder.mkdir(parents=True)
    old, new = folder / ".job-1.json.0123abcd.part", folder / ".job-2.json.0123abcd.part"
    for partial in (old, new):
        partial.write_text("{")
    long_ago = time.time() - 2 * ABANDONED_SECONDS
    os.utime(old, (long_ago, long_ago))
    assert (await run(client, tmp_path))[1][-1] == "1 half-written files removed"
    assert list(folder.iterdir()) == [new]


@pytest.mark.parametrize("away", ["server", "worker"])
async def test_where_nobody_answers_it_says_so(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, away: str
) -> None:
    await jobs(client, 1)
    asked = client if away == "worker" else await client_of_nobody(free_port())
    status, said = await run(asked, tmp_path)
    assert status is Exit.UNREACHABLE
    assert said == ["Temporal, or a worker that answers for the jobs, is away; make ps"]
