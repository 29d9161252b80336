"""A try that the server has given up wakes after another one has begun: it must do nothing."""

import asyncio
from pathlib import Path

import pytest
from temporalio import activity
from temporalio.client import Client

from services.keeper.worker import running_keeper
from services.worker import activities
from services.worker.running import Pulse
from services.worker.worker import running_worker
from shared.slots import RunRef
from shared.states import Status
from shared.watching import Closed, until_closed
from tests.workflow.books import at_once, rows
from tests.workflow.pipeline import paid_once, pipeline
from tests.workflow.scenarios import rule

# Longer than the heartbeat time-out after which the server gives a try up.
LONG = rule("start", "slow", extra=3_000)


class Sleeper:
    """The first armed try is cut off: no heartbeat leaves it, and no news reaches it."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.wake = asyncio.Event()
        self._until_closed = until_closed
        self._beat = Pulse.beat
        self._token: bytes | None = None
        patch.setattr(activities, "until_closed", self.until_closed)
        patch.setattr(Pulse, "beat", lambda pulse: self.beat(pulse))

    @property
    def sleeps(self) -> bool:
        return self._token is not None

    def beat(self, pulse: Pulse) -> None:
        if activity.info().task_token != self._token:
            self._beat(pulse)

    async def until_closed(self, client: Client, run: RunRef) -> Closed:
        if self._token is None:
            self._token = activity.info().task_token
            await self.wake.wait()
        return await self._until_closed(client, run)


async def test_an_armed_try_that_slept_over_its_turn(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sleeper = Sleeper(monkeypatch)
    async with (
        pipeline(client, tmp_path, shutdown_seconds=5) as line,
        running_keeper(client, shutdown_seconds=0.1),
    ):
        async with running_worker(line.settings, client):
            await line.images.arm({**LONG, "match": {"prompt": "long"}})
            first, second = await line.submit("long"), await line.submit("armed")
            for job_id in (first, second):
                assert (await line.ended(job_id)).status is Status.SUCCEEDED
            assert sleeper.sleeps
            sleeper.wake.set()
        # Its worker has ended, and so has all that it ran.
        found = await rows(line)
        assert len(found) == 4
        assert paid_once(found)
        assert (await at_once(line)).violation is None
