"""How many events an undisturbed job costs, its own and the semaphore's."""

from datetime import timedelta
from pathlib import Path

import pytest
from temporalio.client import Client

from services.worker import activities
from services.worker.deterministic import stages
from shared.jobs.states import Status
from shared.semaphore.messages import JOB_GATE, semaphore_id
from tests.workflow.pipeline import working

# Ten of the semaphore, and a few tasks more on a busy machine.
OF_A_JOB, OF_THE_SEMAPHORE = 34, 12
# That the slot goes on: an update, its task, the memo.
OF_A_CHANGE = 6
JOBS = 5


@pytest.fixture(autouse=True)
def _at_once_on_a_busy_machine_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activities, "AT_ONCE_SECONDS", 30)
    monkeypatch.setattr(stages, "LOCAL_TIMEOUT", timedelta(seconds=60))


async def test_jobs_that_wait_and_are_called_back_cost_few_events(
    client: Client, tmp_path: Path
) -> None:
    async with working(client, tmp_path, video_poll_seconds=60) as line:
        await line.change(paused=True)
        before = await line.events(semaphore_id(JOB_GATE))
        jobs = [await line.submit(f"cat {number}") for number in range(JOBS)]
        await line.slots(lambda view: view.waiting == tuple(jobs))
        await line.change(paused=False)
        for job_id in jobs:
            assert (await line.ended(job_id)).status is Status.SUCCEEDED
        await line.free()
        each = [await line.events(job_id) for job_id in jobs]
        spent = await line.events(semaphore_id(JOB_GATE)) - before - OF_A_CHANGE
    # A poll that ends in the same moment as its callback comes costs more, on a busy machine often.
    assert min(each) <= OF_A_JOB, each
    assert spent <= JOBS * OF_THE_SEMAPHORE, spent
