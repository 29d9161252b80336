"""A disk that is full, and results that take much: jobs go on, and the worker stays small."""

import asyncio
import json
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from prometheus_client import REGISTRY
from starlette.responses import Response
from temporalio.client import Client

from services.api.service import Service, make_service
from services.api.settings import ApiSettings
from services.semaphore.worker import running_semaphore
from services.worker.worker import running_worker
from shared.failures import MAX_ATTEMPTS
from shared.jobs.genvideo import GENVIDEO
from shared.jobs.messages import Record
from shared.jobs.states import Status
from shared.pipeline import heartbeat
from shared.pipeline.disk import Disk
from shared.pipeline.policies import FETCH_TRIES
from tests.chaos.wires import Request, Route, VendorWire
from tests.fixtures.eventually import eventually
from tests.fixtures.processes import children, peak
from tests.fixtures.small_disk import NewDisk
from tests.services.mock_core.serving import served
from tests.services.worker import hostile
from tests.workflow.pipeline import LONG, STEPS, Pipeline, check, once, pipeline, why
from tests.workflow.processes import Process, worker_processes


@pytest.fixture(autouse=True)
def _soon_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heartbeat, "WAITING_TRIES", 2)


# A disk that is full


def refusals(folder: str) -> float:
    name = "genvideo_worker_disk_refused_total"
    return REGISTRY.get_sample_value(name, {"folder": folder}) or 0.0


async def test_without_room_for_records_jobs_run_and_records_catch_up(
    client: Client, tmp_path: Path, small_disk: NewDisk
) -> None:
    state, disk = small_disk(tmp_path / "state"), Disk(tmp_path)
    async with (
        pipeline(client, tmp_path) as line,
        running_semaphore(client, shutdown_seconds=0.1),
        running_worker(line.settings, client, disk=disk),
    ):
        await line.images.arm(LONG)
        job_id = await line.submit()
        before = await line.until(job_id, Status.RUNNING)
        state.fill()
        await line.images.hurry()
        progress = await line.job(job_id).result()
        assert progress.status is Status.SUCCEEDED
        assert line.records.read(job_id) == before
        assert await disk.reason() == "state: No space left on device"
        assert refusals("state") >= 1
        api = await api_of(line)
        for _ in range(2):
            await api.follower.poll()
        assert line.records.read(job_id) == before
        state.free()
        assert await disk.reason() is None
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


async def test_room_again_in_mid_job_and_the_next_version_has_it_all(
    client: Client, tmp_path: Path, small_disk: NewDisk
) -> None:
    state = small_disk(tmp_path / "state")
    async with (
        pipeline(client, tmp_path) as line,
        running_semaphore(client, shutdown_seconds=0.1),
        running_worker(line.settings, client),
    ):
        await line.videos.arm(LONG)
        state.fill()
        job_id = await line.submit()
        await line.videos.until(
            f"/admin/ledger?external_id={job_id}.video.1", lambda rows: len(rows) > 0
        )
        assert line.records.read(job_id) is None
        state.free()
        await line.videos.hurry()
        record = await line.ended(job_id)
        assert record.status is Status.SUCCEEDED


@pytest.mark.parametrize("step", STEPS)
async def test_without_room_for_a_file_it_is_fetched_later_and_paid_for_once(
    client: Client, tmp_path: Path, small_disk: NewDisk, step: str
) -> None:
    assets, disk = small_disk(tmp_path / "assets"), Disk(tmp_path)
    async with (
        pipeline(client, tmp_path) as line,
        running_semaphore(client, shutdown_seconds=0.1),
        running_worker(line.settings, client, disk=disk),
    ):
        service = line.service(step)
        await service.arm(LONG)
        job_id = await line.submit()
        if step == "video":
            await line.noted(job_id, "image stored")
        assets.fill()
        await service.hurry()
        record = await line.noted(job_id, f"waiting to store the {step}: Our disk: No space left")
        assert record.status is Status.RUNNING
        assert await disk.reason() == "assets: No space left on device"
        assets.free()
        record = await line.ended(job_id)
        assert (record.status, record.attempts) == (Status.SUCCEEDED, once())
        for each in GENVIDEO.names:
            assert [row["charged"] for row in await line.ledger(each)] == [True]
        assert [path.suffix for path in (tmp_path / "assets" / job_id).iterdir()] != [".part"]


# The worker's own, and that of the process that opens files: what it has when it begins, and what
# it may take. Both fit into the container's.
WORKER_MEGABYTES, CHILD_MEGABYTES = 300, 450


# Results that take much of what opens them


@dataclass(frozen=True)
class Trick:
    """What comes instead of the file, and what the job says of it."""

    step: str
    body: Callable[[], bytes]
    encoding: str | None = None
    says: str = ""


TRICKS = {
    "squeezed twice": Trick("video", hostile.gzip_bomb, "gzip, gzip", "is encoded"),
    "squeezed image": Trick("image", hostile.gzip_bomb, "gzip, gzip", "is encoded"),
    "many frames": Trick("video", hostile.mp4_of_claims, says="can't be decoded|claims more"),
    "a wide video": Trick("video", hostile.wide_mp4, says="too large: 16000x16000"),
    "a wide image": Trick("image", hostile.wide_png, says="DecompressionBomb"),
}


class HostileWire(VendorWire):
    """Gives what a job's prompt names instead of the file of this step."""

    def __init__(self, target: str, http: httpx.AsyncClient, step: str) -> None:
        super().__init__(target, http)
        self._step = step
        self._tricks: dict[str, Trick] = {}
        # How often each hostile file was asked for.
        self.fetched: Counter[str] = Counter()

    async def _forward(self, request: Request) -> Response:
        if request.route is Route.RESULT:
            trick = next((it for name, it in self._tricks.items() if name in request.path), None)
            if trick is not None and "/files/" in request.path:
                self.fetched[request.path] += 1
                headers = {"content-encoding": trick.encoding} if trick.encoding else {}
                return Response(trick.body(), headers=headers)
        reply = await super()._forward(request)
        if request.route is Route.SUBMIT and reply.status_code < 300:
            trick = TRICKS.get(json.loads(request.body)["prompt"])
            if trick is not None and trick.step is self._step:
                self._tricks[json.loads(bytes(reply.body))["job_id"]] = trick
        return reply


@asynccontextmanager
async def hostile_wire(target: str, step: str) -> AsyncIterator[HostileWire]:
    no_idle = httpx.Limits(max_keepalive_connections=0)
    async with httpx.AsyncClient(timeout=60, trust_env=False, limits=no_idle) as http:
        wire = HostileWire(target, http, step)
        async with served(wire) as wire.url:
            yield wire


@asynccontextmanager
async def behind_hostile_vendors(
    client: Client, data_dir: Path
) -> AsyncIterator[tuple[Pipeline, list[HostileWire]]]:
    """Mocks behind such wires, a receiver and a semaphore; no worker yet."""
    async with (
        pipeline(client, data_dir) as line,
        hostile_wire(line.settings.image_service_url, "image") as images,
        hostile_wire(line.settings.video_service_url, "video") as videos,
        running_semaphore(client, shutdown_seconds=0.1),
    ):
        addresses = {"image_service_url": images.url, "video_service_url": videos.url}
        settings = line.settings.model_copy(update=addresses)
        yield Pipeline(client, settings, line.images, line.videos), [images, videos]


async def test_the_worker_stays_small_and_alive_and_the_next_job_runs(
    client: Client, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with behind_hostile_vendors(client, tmp_path) as (line, wires):
        with worker_processes(line) as workers:
            [process] = workers.start()
            await workers.ready()
            await line.change(limit=len(TRICKS))
            ids = [await line.submit(name) for name in TRICKS]
            records = await asyncio.gather(*map(line.ended, ids))
            for record, trick in zip(records, TRICKS.values(), strict=True):
                check_failed(record, trick)
            assert (await line.run("a cat")).status is Status.SUCCEEDED
            check_small(process, capsys)
            check_seldom(wires)


def check_failed(record: Record, trick: Trick) -> None:
    """For the reason that the trick has, after as many attempts as for any other bad file."""
    assert (record.status, record.attempts[trick.step]) == (Status.FAILED, MAX_ATTEMPTS)
    assert trick.step not in record.assets
    assert why(record).code == "bad_result"
    assert re.search(trick.says, why(record).message)


def check_small(process: Process, capsys: pytest.CaptureFixture[str]) -> None:
    assert process.poll() is None
    own = peak(process.pid)
    others = [peak(child) for child in children(process.pid)]
    with capsys.disabled():
        print(f"\nworker {own:.0f} MB, what opens files {others} MB")  # noqa: T201
    assert own < WORKER_MEGABYTES
    assert all(other < CHILD_MEGABYTES for other in others)


def check_seldom(wires: list[HostileWire]) -> None:
    """A file is fetched by the poll, by the callback, by the poll behind it and by the clean-up."""
    fetched = [count for wire in wires for count in wire.fetched.values()]
    assert len(fetched) == len(TRICKS) * MAX_ATTEMPTS
    assert max(fetched) <= 1 + 3 * FETCH_TRIES
