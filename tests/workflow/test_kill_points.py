"""A worker is killed at every place between a job's start and its end: nothing is paid twice."""

import asyncio
import contextlib
import hashlib
import signal
from collections.abc import AsyncIterator, Coroutine, Iterator
from dataclasses import dataclass, replace
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from services.keeper.worker import running_keeper
from services.worker.worker import running_worker
from shared.assets import asset_path
from shared.http import http_client
from shared.ids import new_job_id
from shared.messages import Attempts, JobInput, Record
from shared.slots import CHANGE_UPDATE, JOB_GATE, SlotChange, keeper_id
from shared.states import Status, Step
from shared.temporal import GENVIDEO_WORKFLOW, GET_RECORD_QUERY, WORKFLOW_TASK_TIMEOUT
from tests.fixtures.temporal import NewClient
from tests.services.mock_core.serving import Json, Service
from tests.workflow import worker_that_dies
from tests.workflow.boundaries import PLACES
from tests.workflow.pipeline import Pipeline, pipeline, vendors
from tests.workflow.worker_that_dies import HEARD, Errand

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

# A place of `boundaries`, and which side of it.
Point = tuple[str, str]
# Inside of an activity one place follows the other, so that after the one is before the next.
FIRST = ("activity", "record", "image submit", "video submit")
POINTS: list[tuple[Point, ...]] = [
    *(((place, "before"),) for place in PLACES if place.startswith(FIRST)),
    *(((place, "after"),) for place in PLACES),
    ((HEARD, "after"),),
    # A first try of the video has nothing to look up: here the second one dies as well.
    (("video submit", "after"), ("video look-up", "after")),
    (("video submit", "after"), ("video heartbeat", "after"), ("video move", "after")),
]
# The places that are a request to a vendor.
REQUESTS = {"look-up", "submit", "poll", "result", "download"}
# A death costs some seconds of waiting and little work, so that many die side by side.
AT_ONCE = 20


@dataclass
class Death:
    """What became of one job whose worker died, by its record and by its workflow."""

    exit_statuses: list[int | None]
    record: Record
    workflows: Record


@dataclass
class Deaths:
    """One job per point, all under way."""

    line: Pipeline
    tasks: dict[tuple[Point, ...], asyncio.Task[Death]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def line(
    new_client: NewClient, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Pipeline]:
    """Vendors, receiver and a wide gate; the workers are the test's own."""
    client, folder = await new_client(), tmp_path_factory.mktemp("kill-points")
    async with pipeline(client, folder) as line, running_keeper(client, shutdown_seconds=0.1):
        await line.free()
        keeper = client.get_workflow_handle(keeper_id(JOB_GATE))
        await keeper.execute_update(CHANGE_UPDATE, SlotChange(limit=AT_ONCE))
        yield line


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def deaths(line: Pipeline) -> AsyncIterator[Deaths]:
    turn = asyncio.Semaphore(AT_ONCE)
    tasks = {points: asyncio.create_task(death_at(line, points, turn=turn)) for points in POINTS}
    yield Deaths(line, tasks)
    for task in tasks.values():
        task.cancel()
    await asyncio.gather(*tasks.values(), return_exceptions=True)


async def death_at(line: Pipeline, points: tuple[Point, ...], *, turn: asyncio.Semaphore) -> Death:
    """A job on a task queue of its own: a worker dies at each point, and one more goes on."""
    statuses = []
    async with turn:
        job_id = await start(line)
        for place, moment in points:
            errand = replace(errand_of(line, job_id), place=place, moment=moment)
            with process_of(errand) as victim:
                await first_of(ended(victim), line.job(job_id).result())
                statuses.append(victim.exitcode)
        async with running_worker(line.settings, line.client, task_queue=job_id):
            record = await line.ended(job_id)
            workflows = await line.job(job_id).query(GET_RECORD_QUERY, result_type=Record)
        return Death(statuses, record, workflows)


async def start(line: Pipeline) -> str:
    """A job whose task queue is named as the job is."""
    job_id = new_job_id()
    await line.client.start_workflow(
        GENVIDEO_WORKFLOW,
        JobInput(prompt="a cat", style="ink"),
        id=job_id,
        task_queue=job_id,
        task_timeout=WORKFLOW_TASK_TIMEOUT,
    )
    return job_id


def errand_of(line: Pipeline, queue: str) -> Errand:
    address = line.client.service_client.config.target_host
    return Errand(line.settings, address, line.client.namespace, queue)


@contextlib.contextmanager
def process_of(errand: Errand) -> Iterator[ForkServerProcess]:
    process = worker_that_dies.start(errand)
    try:
        yield process
    finally:
        process.kill()
        process.join()


async def ledger(line: Pipeline, job_id: str, step: Step) -> list[Json]:
    """One vendor's rows of one job."""
    service = line.images if step is Step.IMAGE else line.videos
    # By a client that keeps no connection for longer than the mock does.
    async with http_client(str(service.http.base_url)) as http:
        rows = (await http.get("/admin/ledger")).json()
    return [row for row in rows if row["external_id"].startswith(job_id)]


async def first_of(*awaited: Coroutine[Any, Any, object]) -> None:
    """Return when one of them is done: a job may end without having passed the place."""
    tasks = [asyncio.create_task(each) for each in awaited]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def ended(process: ForkServerProcess) -> None:
    loop, gone = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(process.sentinel, gone.set)
    try:
        await gone.wait()
    finally:
        loop.remove_reader(process.sentinel)


def name_of(points: tuple[Point, ...]) -> str:
    return "; ".join(f"{moment} {place}" for place, moment in points)


@pytest.mark.parametrize("points", POINTS, ids=name_of)
async def test_killed_there_the_job_goes_on_and_is_paid_for_once(
    deaths: Deaths, points: tuple[Point, ...]
) -> None:
    death = await deaths.tasks[points]
    assert set(death.exit_statuses) == {-signal.SIGKILL}
    record = death.record
    assert (record.status, record.attempts) == (Status.SUCCEEDED, Attempts(image=1, video=1))
    assert record == death.workflows
    for step in Step:
        rows = await ledger(deaths.line, record.job_id, step)
        assert [row["charged"] for row in rows] == [True]
        body = asset_path(deaths.line.settings.data_dir, record.job_id, step).read_bytes()
        assert hashlib.sha256(body).hexdigest() == record.assets[step].sha256


async def test_the_points_are_all_that_there_are(line: Pipeline, tmp_path: Path) -> None:
    """A job that nobody disturbs passes these places and no other; the vendors saw no more."""
    async with vendors() as (images, videos):
        settings = line.settings.model_copy(
            update={"image_service_url": base_of(images), "video_service_url": base_of(videos)}
        )
        job_id, notes = await start(line), tmp_path / "notes"
        errand = replace(errand_of(line, job_id), settings=settings, notes=notes)
        with process_of(errand):
            await line.ended(job_id)
        asked = [
            *(await images.json("/admin/journal?limit=1000")),
            *(await videos.json("/admin/journal?limit=1000")),
        ]
    passed = [note.rsplit(", ", 1) for note in notes.read_text().splitlines()]
    assert {place for place, _ in passed} == set(PLACES)
    begun = [place for place, moment in passed if moment == "before"]
    requests = [place for place in begun if place.split()[1] in REQUESTS]
    # The video service, too, fetches the picture.
    assert len(requests) + 1 == len(asked)


def base_of(service: Service) -> str:
    return str(service.http.base_url).rstrip("/")
