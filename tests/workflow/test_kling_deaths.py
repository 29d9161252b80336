"""A worker is killed around what it asks of Kling's API: the job goes on, and is paid for once."""

from pathlib import Path

import pytest
from temporalio.client import Client

from services.semaphore.worker import running_semaphore
from tests.workflow.deaths import Point, check_paid_once, killed, start
from tests.workflow.pipeline import pipeline
from tests.workflow.side_by_side import side_by_side
from tests.workflow.wires import KLING

POINTS: list[tuple[Point, ...]] = [
    (("video submit", "before"),),
    (("video submit", "after"),),
    # The second one dies of looking up what the first one has submitted.
    (("video submit", "after"), ("video poll", "after")),
    (("video heartbeat", "after"),),
    (("video poll", "after"),),
    (("video move", "after"),),
]


@pytest.mark.timeout(300)
async def test_killed_there_the_job_goes_on_and_is_paid_for_once(
    client: Client, tmp_path: Path
) -> None:
    async with (
        pipeline(client, tmp_path, **KLING) as line,
        running_semaphore(client, shutdown_seconds=0.1),
    ):
        await line.change(limit=len(POINTS))

        async def scene(points: tuple[Point, ...]) -> None:
            await check_paid_once(line, await killed(line, await start(line), points))

        await side_by_side(scene, POINTS)
