"""Whoever submitted is gone while the vendor is still accepting: who comes next adopts it."""

import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from temporalio.client import Client

from services.worker.worker import running_worker
from shared.states import Step
from tests.fixtures.resets import reset
from tests.workflow.processes import worker_processes
from tests.workflow.test_vendor_wire import accepting, paid_once
from tests.workflow.wired import Wired, over_wires, patience

pytestmark = pytest.mark.parametrize("step", Step)


@pytest.fixture
async def line(client: Client, tmp_path: Path) -> AsyncIterator[Wired]:
    """A pipeline over wires, without a worker."""
    async with over_wires(client, tmp_path) as line:
        yield line


async def both_paid_once(line: Wired, step: Step, jobs: tuple[str, str]) -> None:
    """The job whose submit was held, and the one behind it."""
    for job_id in jobs:
        await paid_once(line, step, job_id)


async def test_its_worker_is_killed(line: Wired, step: Step) -> None:
    with worker_processes(line) as workers:
        environment = {name.upper(): str(value) for name, value in patience().items()}
        workers.start(2, **environment)
        jobs = await accepting(line, step)
        victim = await workers.of(jobs[0])
        victim.send_signal(signal.SIGKILL)
        await both_paid_once(line, step, jobs)


async def test_its_worker_is_stopped(line: Wired, step: Step) -> None:
    async with running_worker(line.settings, line.client):
        jobs = await accepting(line, step)
    async with running_worker(line.settings, line.client):
        await both_paid_once(line, step, jobs)


async def test_the_job_is_reset(line: Wired, step: Step) -> None:
    async with running_worker(line.settings, line.client):
        jobs = await accepting(line, step)
        await reset(line.client, jobs[0], back_to="first")
        await both_paid_once(line, step, jobs)
