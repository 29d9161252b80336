"""A worker is killed at every place between a job's start and its end: nothing is paid twice."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import pytest_asyncio

from services.semaphore.worker import running_semaphore
from tests.fixtures.temporal import NewClient
from tests.workflow.boundaries import PLACES, STOPPED
from tests.workflow.deaths import (
    Death,
    Point,
    base_of,
    check_paid_once,
    errand_of,
    killed,
    process_of,
    start,
)
from tests.workflow.pipeline import Pipeline, pipeline, vendors
from tests.workflow.worker_that_dies import HEARD

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(600)]

# Inside of an activity one place follows the other, so that after the one is before the next.
FIRST = ("activity", "record", "image submit", "video submit")
POINTS: list[tuple[Point, ...]] = [
    *(((place, "before"),) for place in PLACES if place.startswith(FIRST)),
    *(((place, "after"),) for place in PLACES),
    ((HEARD, "after"),),
    # A first try has nothing to look up: here the second one dies as well.
    (("image submit", "after"), ("image look-up", "after")),
    (("video submit", "after"), ("video look-up", "after")),
    (("video submit", "after"), ("video heartbeat", "after"), ("video move", "after")),
]
# The places that are a request to a vendor.
REQUESTS = {"look-up", "submit", "poll", "result", "download"}
# A death costs some seconds of waiting and little work, so that many die side by side.
AT_ONCE = 12


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
    async with pipeline(client, folder) as line, running_semaphore(client, shutdown_seconds=0.1):
        await line.change(limit=AT_ONCE)
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
    async with turn:
        return await killed(line, await start(line), points)


def name_of(points: tuple[Point, ...]) -> str:
    return "; ".join(f"{moment} {place}" for place, moment in points)


@pytest.mark.parametrize("points", POINTS, ids=name_of)
async def test_killed_there_the_job_goes_on_and_is_paid_for_once(
    deaths: Deaths, points: tuple[Point, ...]
) -> None:
    await check_paid_once(deaths.line, await deaths.tasks[points])


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
    assert {place for place, _ in passed} - {STOPPED} == set(PLACES)
    begun = [place for place, moment in passed if moment == "before"]
    requests = [place for place in begun if place.split()[1] in REQUESTS]
    # The video service, too, fetches the picture.
    assert len(requests) + 1 == len(asked)
