"""A try that the server has given up wakes after another one has begun: it must do nothing."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from temporalio import activity
from temporalio.client import Client

from services.semaphore.worker import running_semaphore
from services.worker.acting import submitting
from services.worker.acting.heartbeat import Pulse
from services.worker.vendors.comfyui.images import ComfyuiImages
from services.worker.vendors.service.images import ImageService
from services.worker.worker import running_worker
from shared.jobs.states import Status
from shared.temporal import tries
from tests.services.mock_core.serving import Json
from tests.workflow.books import at_once, rows
from tests.workflow.pipeline import paid_once, pipeline
from tests.workflow.scenarios import rule
from tests.workflow.wires import over_both_image_apis

# Just longer than the heartbeat time-out after which the server gives a try up.
LONG = rule("start", "slow", extra=2_200)


class Sleeper:
    """One try is frozen at some point of it: no heartbeat leaves it, and it sees nothing."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.wake = asyncio.Event()
        self.sleeps = False
        self._beat = Pulse.beat
        self._token = b""
        patch.setattr(Pulse, "beat", lambda pulse: self.beat(pulse))

    def beat(self, pulse: Pulse) -> None:
        if activity.info().task_token != self._token:
            self._beat(pulse)

    async def sleep(self) -> None:
        """The first one who comes here sleeps until it is woken."""
        if not self.sleeps:
            self.sleeps = True
            self._token = activity.info().task_token
            await self.wake.wait()


@pytest.fixture
def sleeper(monkeypatch: pytest.MonkeyPatch) -> Sleeper:
    return Sleeper(monkeypatch)


async def play(client: Client, data_dir: Path, sleeper: Sleeper, **vendor_api: Any) -> None:
    """Two jobs to their ends, by later tries; nothing may come of the sleeper that wakes then."""
    async with (
        pipeline(client, data_dir, shutdown_seconds=5, **vendor_api) as line,
        running_semaphore(client, shutdown_seconds=0.1),
    ):
        async with running_worker(line.settings, client):
            await line.images.arm({**LONG, "match": {"prompt": "long"}})
            for job_id in [await line.submit("long"), await line.submit("next")]:
                assert (await line.ended(job_id)).status is Status.SUCCEEDED
            assert sleeper.sleeps
            sleeper.wake.set()
        # Its worker has ended, and so has all that it ran.
        found = await rows(line)
        assert len(found) == 4
        assert paid_once(found)
        assert (await at_once(line)).violation is None


async def test_a_try_that_slept_over_its_turn(
    client: Client, tmp_path: Path, sleeper: Sleeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server called it current, and it hears so when its job has long ended."""
    ask = tries.is_current_try

    async def sleepy(client: Client) -> bool:
        answer = await ask(client)
        await sleeper.sleep()
        return answer

    monkeypatch.setattr(submitting, "is_current_try", sleepy)
    await play(client, tmp_path, sleeper)


@over_both_image_apis
async def test_a_try_that_slept_before_its_submit(
    client: Client,
    tmp_path: Path,
    sleeper: Sleeper,
    monkeypatch: pytest.MonkeyPatch,
    vendor_api: Json,
) -> None:
    """It woke within the time in which the next try still looks for what may be on its way."""
    vendor: Any = ComfyuiImages if vendor_api else ImageService
    submit = vendor.submit

    async def sleepy(*args: Any, **kwargs: Any) -> str:
        await sleeper.sleep()
        vendor_id: str = await submit(*args, **kwargs)
        return vendor_id

    look = submitting._look_for

    async def wakes(*args: Any) -> str | None:
        sleeper.wake.set()
        return await look(*args)

    monkeypatch.setattr(vendor, "submit", sleepy)
    monkeypatch.setattr(submitting, "_look_for", wakes)
    await play(client, tmp_path, sleeper, **vendor_api)
