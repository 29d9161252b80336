"""What submitted is gone while the vendor is still accepting: what comes next waits for it."""

import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from services.worker.worker import running_worker
from shared.jobs.states import Step
from tests.fixtures.resets import reset
from tests.fixtures.temporal import NewClient
from tests.workflow.processes import worker_processes
from tests.workflow.side_by_side import side_by_side
from tests.workflow.test_vendor_wire import accepting, ended_alone, paid_once
from tests.workflow.wired import Wired, over_wires, patience

NewLine = Callable[[Step], AbstractAsyncContextManager[Wired]]


@pytest.fixture
def new_line(new_client: NewClient, tmp_path: Path) -> NewLine:
    """Makes pipelines over wires, without a worker."""

    @asynccontextmanager
    async def make(step: Step) -> AsyncIterator[Wired]:
        async with over_wires(await new_client(), tmp_path / step) as line:
            yield line

    return make


async def both_paid_once(line: Wired, step: Step, jobs: tuple[str, str]) -> None:
    """The job whose submit was held, and the one behind it."""
    for job_id in jobs:
        await paid_once(line, step, job_id)


async def test_its_worker_is_killed(new_line: NewLine) -> None:
    environment = {name.upper(): str(value) for name, value in patience().items()}

    async def scene(step: Step) -> None:
        async with new_line(step) as line:
            with worker_processes(line) as workers:
                workers.start(2, **environment)
                jobs = await accepting(line, step)
                victim = await workers.of(jobs[0])
                victim.send_signal(signal.SIGKILL)
                await both_paid_once(line, step, jobs)

    await side_by_side(scene, Step)


async def test_its_worker_is_stopped(new_line: NewLine) -> None:
    async def scene(step: Step) -> None:
        async with new_line(step) as line:
            async with running_worker(line.settings, line.client):
                jobs = await accepting(line, step)
            async with running_worker(line.settings, line.client):
                await both_paid_once(line, step, jobs)

    await side_by_side(scene, Step)


async def test_the_job_is_reset(new_line: NewLine) -> None:
    async def scene(step: Step) -> None:
        async with new_line(step) as line, running_worker(line.settings, line.client):
            jobs = await accepting(line, step)
            await reset(line.client, jobs[0], back_to="first")
            record = await ended_alone(line, step, *jobs)
            assert record.error is not None
            assert record.error.code == "reset_not_supported"

    await side_by_side(scene, Step)
