"""Parts that are away, full, restarted, or wake late: the slot is kept, nothing is paid twice."""

import asyncio
import math
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY
from temporalio import activity
from temporalio.client import Client, WorkflowExecutionStatus

from services.api.service import Service, make_service
from services.api.settings import ApiSettings
from services.semaphore.worker import running_semaphore
from services.worker.vendors.service import ImageService
from services.worker.worker import running_worker
from shared.files import folder_reason
from shared.jobs.genvideo import GENVIDEO
from shared.jobs.messages import Record
from shared.jobs.states import Status
from shared.pipeline import heartbeat, polling, submitting
from shared.pipeline.heartbeat import Pulse
from shared.semaphore.state import DRAIN_HOLD_SECONDS
from shared.temporal import activities
from shared.temporal.client import WORKFLOW_TASK_TIMEOUT
from shared.temporal.pace import Pace
from tests.fixtures.eventually import eventually
from tests.fixtures.small_disk import NewDisk
from tests.fixtures.temporal import own_server
from tests.services.mock_core.serving import Json
from tests.workflow.pipeline import (
    LONG,
    Pipeline,
    at_once,
    begun,
    check,
    grants,
    once,
    paid_once,
    pipeline,
    rows,
    working,
)
from tests.workflow.processes import worker_processes
from tests.workflow.scenarios import FIRST, rule

# Just longer than the heartbeat time-out after which the server gives a try up.
LONGER = rule("start", "slow", extra=2_200)


# A try that wakes late


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


async def play(client: Client, data_dir: Path, sleeper: Sleeper) -> None:
    """Two jobs to their ends, by later tries; nothing may come of the sleeper that wakes then."""
    async with (
        pipeline(client, data_dir, shutdown_seconds=5) as line,
        running_semaphore(client, shutdown_seconds=0.1),
    ):
        async with running_worker(line.settings, client):
            await line.images.arm({**LONGER, "match": {"prompt": "long"}})
            for job_id in [await line.submit("long"), await line.submit("next")]:
                assert (await line.ended(job_id)).status is Status.SUCCEEDED
            assert sleeper.sleeps
            sleeper.wake.set()
        # Its worker has ended, and so has all that it ran.
        found = await rows(line)
        assert len(found) == 2 * len(GENVIDEO.names)
        assert paid_once(found)
        assert (await at_once(line)).violations == 0


async def test_try_frozen_past_its_time_out(
    client: Client, tmp_path: Path, sleeper: Sleeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server called it current, and it hears so when its job has long ended."""
    ask = activities.is_current_try

    async def sleepy(client: Client) -> bool:
        answer = await ask(client)
        await sleeper.sleep()
        return answer

    monkeypatch.setattr(submitting, "is_current_try", sleepy)
    await play(client, tmp_path, sleeper)


async def test_try_frozen_before_its_submit(
    client: Client, tmp_path: Path, sleeper: Sleeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It woke within the time in which the next try still looks for what may be on its way."""
    submit = ImageService.submit

    async def sleepy(*args: Any, **kwargs: Any) -> str:
        await sleeper.sleep()
        vendor_id: str = await submit(*args, **kwargs)
        return vendor_id

    look = submitting._look_for

    async def wakes(*args: Any) -> str | None:
        sleeper.wake.set()
        return await look(*args)

    monkeypatch.setattr(ImageService, "submit", sleepy)
    monkeypatch.setattr(submitting, "_look_for", wakes)
    await play(client, tmp_path, sleeper)


# Nothing is renewed, so nothing lapses


LONGEST = max(
    Pace.FAST.times.work,
    Pace.FAST.times.sticky,
    WORKFLOW_TASK_TIMEOUT,
    timedelta(seconds=DRAIN_HOLD_SECONDS),
)
PAUSE_SECONDS = math.ceil(LONGEST.total_seconds()) + 1


async def test_back_off_longer_than_any_time_out_keeps_the_slot(
    client: Client, tmp_path: Path
) -> None:
    """The job sends no heartbeat during this time, nor does the semaphore's process, which is away.

    The next try needs no semaphore: Temporal says that it is the current one.
    """
    async with pipeline(client, tmp_path) as line, running_worker(line.settings, client):
        refusal = rule("submit", "refuse", often=FIRST, status=503, retry_after=PAUSE_SECONDS)
        await line.images.arm({**refusal, "match": {"prompt": "first"}})
        async with running_semaphore(client, shutdown_seconds=0.1):
            first, second = await line.submit("first"), await line.submit("second")
            before = await line.slots(lambda view: view.holders and view.waiting == (second,))
            await line.images.until("/admin/trace", lambda it: it["rows"])
        record = await line.ended(first)
        async with running_semaphore(client, shutdown_seconds=0.1):
            assert (await line.ended(second)).status is Status.SUCCEEDED
            await line.free()
        assert (record.status, record.attempts) == (Status.SUCCEEDED, once())
        assert record.token == before.holders[0].token
        closed = (await line.job(first).describe()).status
        assert closed is WorkflowExecutionStatus.COMPLETED
        accepted = [row["external_id"].split(".")[0] for row in await rows(line)]
        assert accepted == sorted(accepted, key=[first, second].index)
        assert (await at_once(line)).violations == 0
        counted = await grants(client)
        assert (counted["granted"], counted["returned"]) == (2, 2)


# A vendor that is out altogether


@pytest.fixture(autouse=True)
def _soon_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "WAITING_TRIES", 3)
    monkeypatch.setattr(polling, "WAITING_SECONDS", 0.3)


def out(where: str, times: int) -> Json:
    return rule(where, "refuse", often={"first": times}, status=503, retry_after=0)


def waits(record: Record) -> list[str]:
    return [each.note for each in record.transitions if each.note.startswith("waiting for the ")]


async def test_outage_at_the_submit(line: Pipeline) -> None:
    await line.videos.arm(out("submit", 5))
    record = await line.run()
    assert (record.status, record.attempts) == (Status.SUCCEEDED, once())
    # Each stage at that service is refused as often.
    told = [note.partition(",")[0] for note in waits(record)]
    assert told.count("waiting for the video service: HTTP 503") == 1, told


# The server, or all that works, restarted


QUEUED = 5
LIMIT = 2
# Long enough for a restart to fall into the middle of a job.
SLOWLY = rule("start", "slow", extra=500)


async def all_succeeded(line: Pipeline, jobs: list[str], *, limit: int = 1) -> None:
    """Every job ended well, was paid for once, and never were there too many."""
    for job_id in jobs:
        assert (await line.ended(job_id)).status is Status.SUCCEEDED
    found = await rows(line)
    assert len(found) == len(GENVIDEO.names) * len(jobs)
    assert paid_once(found)
    swept = await at_once(line, limit)
    assert (swept.most, swept.violations) == (limit, 0)


async def test_killed_server_restarts_with_all_queued_jobs(tmp_path: Path) -> None:
    with own_server(tmp_path) as server:
        async with working(await server.client(), tmp_path) as line:
            await line.images.arm({**rule("start", "slow", extra=2_000), "match": {"nth": 1}})
            await line.change(paused=True)
            jobs = [await line.submit(f"cat {number}") for number in range(QUEUED)]
            await line.slots(lambda view: view.waiting_count == QUEUED)
            await line.change(paused=False)
            await begun(line.images, f"{jobs[0]}.image.1")
            server.kill()
            server.start()
            await server.client()
            await all_succeeded(line, jobs)
            await line.free()
            counted = await grants(line.client)
            assert (counted["granted"], counted["returned"]) == (QUEUED, QUEUED)


async def test_restart_of_everything_keeps_the_limit(client: Client, tmp_path: Path) -> None:
    """Workers and the semaphore's process end together, and come back together."""
    async with pipeline(client, tmp_path) as line:
        await line.images.arm(SLOWLY)
        with worker_processes(line) as workers:
            workers.start_semaphore()
            workers.start(2)
            await line.change(limit=LIMIT)
            jobs = [await line.submit(f"cat {number}") for number in range(5)]
            await begun(line.images, f"{jobs[2]}.image.1")
            workers.kill()
            workers.start_semaphore()
            workers.start(2)
            await all_succeeded(line, jobs, limit=LIMIT)
            await line.free()


# A disk that is full


def refusals(folder: str) -> float:
    name = "genvideo_worker_disk_refused_total"
    return REGISTRY.get_sample_value(name, {"folder": folder}) or 0.0


async def test_jobs_run_without_room_for_records_which_catch_up(
    client: Client, tmp_path: Path, small_disk: NewDisk
) -> None:
    state = small_disk(tmp_path / "state")
    async with working(client, tmp_path) as line:
        await line.images.arm(LONG)
        job_id = await line.submit()
        before = await line.until(job_id, Status.RUNNING)
        state.fill()
        await line.images.hurry()
        progress = await line.job(job_id).result()
        assert progress.status is Status.SUCCEEDED
        assert line.records.read(job_id) == before
        assert refusals("state") >= 1
        api = await api_of(line)
        for _ in range(2):
            await api.follower.poll()
        assert line.records.read(job_id) == before
        state.free()
        await api.follower.poll()
        record = line.record(job_id)
        check(record)
        assert (record.status, record.version) == (Status.SUCCEEDED, progress.version)


async def api_of(line: Pipeline) -> Service:
    """An API's parts, which know the job by its record alone, once visibility knows its end."""
    api = make_service(ApiSettings(data_dir=line.settings.data_dir), line.client)
    await api.follower.sweep()

    async def ended() -> list[object]:
        return [each async for each in line.client.list_workflows("ExecutionStatus='Completed'")]

    await eventually(ended, bool)
    return api


async def test_without_room_a_file_is_fetched_later_and_paid_once(
    client: Client, tmp_path: Path, small_disk: NewDisk
) -> None:
    assets = small_disk(tmp_path / "assets")
    async with working(client, tmp_path) as line:
        await line.videos.arm(LONG)
        job_id = await line.submit()
        await line.noted(job_id, "image stored")
        assets.fill()
        await line.videos.hurry()
        record = await line.noted(job_id, "waiting to store the video: Our disk: No space left")
        assert record.status is Status.RUNNING
        assert folder_reason(tmp_path / "assets") == "No space left on device"
        assets.free()
        record = await line.ended(job_id)
        assert (record.status, record.attempts) == (Status.SUCCEEDED, once())
        for each in GENVIDEO.names:
            assert [row["charged"] for row in await line.ledger(each)] == [True]
        assert [path.suffix for path in (tmp_path / "assets" / job_id).iterdir()] != [".part"]
