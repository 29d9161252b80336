"""The worker of a job that comes next is killed at every place of its armed start."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from services.keeper.worker import running_keeper
from services.worker.worker import running_worker
from shared.slots import SlotView
from shared.states import Status
from tests.fixtures.temporal import NewClient
from tests.workflow.books import at_once
from tests.workflow.boundaries import ARMED, PLACES
from tests.workflow.deaths import (
    Death,
    Point,
    check_paid_once,
    errand_of,
    killed,
    process_of,
    start,
)
from tests.workflow.pipeline import Pipeline, pipeline
from tests.workflow.scenarios import rule

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

POINTS: list[Point] = [
    ("activity gen_image", "before"),
    ("image look-up", "before"),
    ("image look-up", "after"),
    ("image turn", "after"),
    ("image begun", "before"),
    ("image begun", "after"),
    ("image submit", "before"),
    ("image submit", "after"),
    ("image heartbeat", "after"),
]
# The jobs in front take so long that all behind them are armed by then.
LONG = {**rule("start", "slow", extra=10_000), "match": {"prompt": "in front"}}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def line(
    new_client: NewClient, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Pipeline]:
    """As many holders as there are points; behind each of them one may be armed."""
    client, folder = await new_client(), tmp_path_factory.mktemp("armed")
    async with (
        pipeline(client, folder) as line,
        running_keeper(client, shutdown_seconds=0.1),
        running_worker(line.settings, client),
    ):
        await line.change(limit=len(POINTS))
        await line.images.arm(LONG)
        yield line


async def line_up(line: Pipeline, holders: int) -> tuple[list[str], list[str]]:
    """Jobs that hold the slot, and those behind them, each on a task queue of its own."""
    in_front = [await line.submit("in front") for _ in range(holders)]
    await line.slots(lambda view: len(view.holders) == holders)
    return in_front, [await start(line) for _ in range(holders)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def deaths(line: Pipeline) -> AsyncIterator[dict[Point, asyncio.Task[Death]]]:
    in_front, behind = await line_up(line, len(POINTS))
    tasks = {
        point: asyncio.create_task(killed(line, job_id, (point,)))
        for point, job_id in zip(POINTS, behind, strict=True)
    }
    yield tasks
    await asyncio.gather(*map(line.ended, in_front))
    for task in tasks.values():
        task.cancel()
    await asyncio.gather(*tasks.values(), return_exceptions=True)


@pytest.mark.parametrize("point", POINTS, ids=" ".join)
async def test_killed_there_it_is_paid_for_once(
    line: Pipeline, deaths: dict[Point, asyncio.Task[Death]], point: Point
) -> None:
    await check_paid_once(line, await deaths[point])


async def test_no_more_ran_than_may(
    line: Pipeline, deaths: dict[Point, asyncio.Task[Death]]
) -> None:
    await asyncio.gather(*deaths.values())
    assert (await at_once(line)).most <= len(POINTS)


async def test_the_places_are_all_that_there_are(
    line: Pipeline, deaths: dict[Point, asyncio.Task[Death]], tmp_path: Path
) -> None:
    await asyncio.gather(*deaths.values())
    await line.slots(_is_empty)
    await line.change(limit=1)
    _, [job_id] = await line_up(line, 1)
    notes = tmp_path / "notes"
    with process_of(replace(errand_of(line, job_id), notes=notes)):
        assert (await line.ended(job_id)).status is Status.SUCCEEDED
    passed = {note.rsplit(", ", 1)[0] for note in notes.read_text().splitlines()}
    assert passed == {*PLACES, *ARMED}


def _is_empty(view: SlotView) -> bool:
    return not view.holders and not view.waiting
