"""A run is watched once by a process: what watches it for nothing any more takes up no place."""

import asyncio
from typing import cast

import pytest
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from services.semaphore import activities
from services.semaphore.activities import SemaphoreActivities
from services.semaphore.models import Ended, SemaphoreRules, Watch
from shared.slot.messages import Closed, Gate, RunRef
from tests.fixtures.eventually import PATIENCE_SECONDS


class Runs:
    """They close when the test says so; each watch that has begun is counted."""

    def __init__(self) -> None:
        self.closed = asyncio.Event()
        self.begun = asyncio.Semaphore(0)

    async def until_closed(self, _: Client, __: RunRef) -> Closed:
        self.begun.release()
        await self.closed.wait()
        return Closed.ORDERLY


async def test_the_latest_watch_of_a_run_ends_the_one_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runs = Runs()
    monkeypatch.setattr(activities, "until_closed", runs.until_closed)
    semaphore = SemaphoreActivities(cast(Client, None), SemaphoreRules())

    async def begin(gate: Gate, run_id: str) -> asyncio.Task[Ended]:
        watch = Watch(run=RunRef(job_id="job", run_id=run_id), gate=gate, tell=False)
        task = asyncio.create_task(ActivityEnvironment().run(semaphore.watch_run, watch))
        await runs.begun.acquire()
        return task

    async with asyncio.timeout(PATIENCE_SECONDS):
        of_an_old_semaphore = await begin(Gate.JOB, "run")
        others = [await begin(Gate.VIDEO, "run"), await begin(Gate.JOB, "other run")]
        now = await begin(Gate.JOB, "run")
        await asyncio.wait([of_an_old_semaphore])
        assert isinstance(of_an_old_semaphore.exception(), ApplicationError)
        assert semaphore.watches(Gate.JOB)
        runs.closed.set()
        assert {(await each).closed for each in (*others, now)} == {Closed.ORDERLY}
    assert not any(map(semaphore.watches, Gate))
