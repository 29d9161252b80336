"""A worker is killed at every place between a job's start and its end: nothing is paid twice.

With KILL_POINTS=native in the environment, all of them over the vendors' own wires.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import pytest_asyncio

from services.worker.settings.worker import WorkerSettings
from shared.jobs.states import Status
from tests.fixtures.temporal import NewClient
from tests.services.mock_core.serving import Json
from tests.workflow.deaths import (
    HEARD,
    NATIVE_PLACES,
    PLACES,
    RESULTS,
    STOPPED,
    Death,
    Point,
    base_of,
    check_each,
    check_paid_once,
    errand_of,
    killed,
    process_of,
    start,
)
from tests.workflow.pipeline import Pipeline, vendors, working
from tests.workflow.wires import COMFYUI, KLING

AT_A_COMFYUI: list[tuple[Point, ...]] = [
    (("image submit", "before"),),
    (("image submit", "after"),),
    # The second one dies of looking up what the first one has submitted.
    (("image submit", "after"), ("image look-up", "after")),
    (("image poll", "after"),),
    ((HEARD, "after"),),
]


AT_KLING: list[tuple[Point, ...]] = [
    (("video submit", "before"),),
    (("video submit", "after"),),
    # The second one dies of looking up what the first one has submitted.
    (("video submit", "after"), ("video look-up", "after")),
    (("video heartbeat", "after"),),
    (("video poll", "after"),),
    (("video move", "after"),),
]


pytestmark = pytest.mark.timeout(600)

# Inside of an activity one place follows the other, so that after the one is before the next.
FIRST = ("activity", "record", "image submit", "video submit")


@dataclass(frozen=True)
class Wire:
    """How the worker speaks to its vendors, and the places that it passes so.

    `unasked`: requests that the vendors see beside those places.
    """

    settings: Json
    places: tuple[str, ...]
    unasked: int

    def points(self) -> list[tuple[Point, ...]]:
        """Where to die, and behind some places a second time, and a third."""
        return [
            *(((place, "before"),) for place in self.places if place.startswith(FIRST)),
            *(((place, "after"),) for place in self.places),
            ((HEARD, "after"),),
            # A first try finds nothing; here the second one dies as well.
            (("image submit", "after"), ("image look-up", "after")),
            (("video submit", "after"), ("video look-up", "after")),
            (("video submit", "after"), ("video heartbeat", "after"), ("video move", "after")),
        ]


WIRES = {
    # The picture's address is looked at, and then the video service fetches it.
    "service": Wire({}, PLACES, unasked=2),
    # A look-up at a ComfyUI that knows nothing asks for the file as well.
    "native": Wire({**COMFYUI, **KLING}, NATIVE_PLACES, unasked=len(RESULTS)),
}
CHOSEN = WIRES[os.environ.get("KILL_POINTS", "service")]
POINTS = CHOSEN.points()
# The places that are a request to a vendor.
REQUESTS = {"look-up", "submit", "poll", "result", "download", "version"}
# A death costs some seconds of waiting and little work, so that many die side by side.
AT_ONCE = 12
NATIVE_SETTINGS = {*COMFYUI, *KLING}


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
    async with working(client, folder, **CHOSEN.settings) as line:
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
async def test_killed_job_continues_and_is_paid_once(
    deaths: Deaths, points: tuple[Point, ...]
) -> None:
    await check_paid_once(deaths.line, await deaths.tasks[points])


@pytest.mark.parametrize("wire", WIRES.values(), ids=list(WIRES))
async def test_list_of_points_is_complete(line: Pipeline, tmp_path: Path, wire: Wire) -> None:
    """A job that nobody disturbs passes these places and no other; the vendors saw no more."""
    async with vendors() as (images, videos):
        settings = WorkerSettings.model_validate(
            {
                **line.settings.model_dump(exclude=NATIVE_SETTINGS),
                **wire.settings,
                "image_service_url": base_of(images),
                "video_service_url": base_of(videos),
            }
        )
        job_id, notes = await start(line), tmp_path / "notes"
        errand = replace(errand_of(line, job_id), settings=settings, notes=notes)
        with process_of(errand):
            record = await line.ended(job_id)
        assert record.status is Status.SUCCEEDED, record
        asked = [
            *(await images.json("/admin/journal?limit=1000")),
            *(await videos.json("/admin/journal?limit=1000")),
        ]
    passed = [note.rsplit(", ", 1) for note in notes.read_text().splitlines()]
    # On a slow machine the last task may be done again, find its end recorded, and drain once more.
    places = {place for place, _ in passed if "drain" not in place}
    assert places - {STOPPED} == set(wire.places)
    begun = [place for place, moment in passed if moment == "before"]
    requests = [place for place in begun if place.split()[1] in REQUESTS]
    assert len(requests) + wire.unasked == len(asked), asked


@pytest.mark.parametrize(
    ("points", "vendor_api"),
    [(AT_A_COMFYUI, COMFYUI), (AT_KLING, KLING)],
    ids=["image over ComfyUI's", "video over Kling's"],
)
async def test_killed_job_continues_on_the_native_routes(
    new_client: NewClient, tmp_path: Path, points: list[tuple[Point, ...]], vendor_api: Json
) -> None:
    await check_each(await new_client(), tmp_path, points, **vendor_api)
