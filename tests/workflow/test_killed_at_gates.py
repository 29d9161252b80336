"""A worker killed while its job holds a gate: the job goes on elsewhere and gives it back."""

import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from temporalio.client import Client

from services.semaphore.worker import running_semaphore
from shared.jobs.messages import Attempts
from shared.jobs.states import Status
from shared.semaphore.messages import Gate
from tests.workflow.pipeline import Pipeline, pipeline
from tests.workflow.processes import worker_processes
from tests.workflow.scenarios import rule
from tests.workflow.test_cancelling import begun
from tests.workflow.test_gates import kept

LONG = rule("start", "slow", extra=60_000)


@pytest.fixture
async def line(client: Client, tmp_path: Path) -> AsyncIterator[Pipeline]:
    async with pipeline(client, tmp_path) as line, running_semaphore(client, shutdown_seconds=0.1):
        yield line


@pytest.mark.parametrize("gate", [Gate.IMAGE, Gate.VIDEO])
async def test_the_gate_is_held_by_the_job_and_not_by_the_worker(
    line: Pipeline, gate: Gate
) -> None:
    service = line.images if gate is Gate.IMAGE else line.videos
    await service.arm({**LONG, "match": {"prompt": "long"}})
    with worker_processes(line) as workers:
        workers.start(2, GATES="image,video")
        await line.change(limit=3)
        long = await line.submit("long")
        await begun(service, f"{long}.{gate}.1")
        others = [await line.submit(f"cat {n}") for n in range(2)]
        await line.slots(lambda view: view.waiting_count == 2, gate)
        victim = await workers.of(long)
        victim.send_signal(signal.SIGKILL)
        view = await line.slots(gate=gate)
        assert [holder.job_id for holder in view.holders] == [long]
        await service.hurry()
        record = await line.ended(long)
        assert (record.status, record.attempts) == (Status.SUCCEEDED, Attempts(image=1, video=1))
        await kept(line, [long, *others])
