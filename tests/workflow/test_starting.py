"""Whatever comes up last: jobs that were there before their worker or before the semaphore."""

from pathlib import Path

import pytest
from temporalio.client import Client

from services.semaphore.worker import running_semaphore
from services.worker.worker import running_worker
from shared.jobs.states import Status
from tests.workflow.pipeline import pipeline


async def test_jobs_that_were_there_first_run_in_their_order(
    client: Client, tmp_path: Path
) -> None:
    """A semaphore that rebuilds finds jobs by their histories. Where none was before it, it grants
    nothing until a worker has read the records."""
    async with pipeline(client, tmp_path) as line:
        job_ids = [await line.submit(f"cat {n}") for n in range(3)]
        async with running_semaphore(client, shutdown_seconds=0.1):
            assert not (await line.slots()).holders
            async with running_worker(line.settings, client):
                for job_id in job_ids:
                    assert (await line.ended(job_id)).status is Status.SUCCEEDED
                prompts = [row["prompt"] for row in await line.images.json("/admin/ledger")]
                assert prompts == [f"cat {n}" for n in range(3)]
            await line.free()


async def test_a_semaphore_that_comes_last_is_waited_for(client: Client, tmp_path: Path) -> None:
    async with pipeline(client, tmp_path) as line, running_worker(line.settings, client):
        job_id = await line.submit()
        await line.until(job_id, Status.QUEUED)
        async with running_semaphore(client, shutdown_seconds=0.1):
            assert (await line.ended(job_id)).status is Status.SUCCEEDED


async def test_no_process_reads_all_code_at_its_start(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read() -> str:
        raise AssertionError("the code of every module was read")

    monkeypatch.setattr("temporalio.worker._worker.load_default_build_id", read)
    async with (
        pipeline(client, tmp_path) as line,
        running_semaphore(client, shutdown_seconds=0.1),
        running_worker(line.settings, client),
    ):
        assert (await line.run()).status is Status.SUCCEEDED
