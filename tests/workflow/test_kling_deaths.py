"""A worker is killed around what it asks of Kling's API: the job goes on, and is paid for once."""

from pathlib import Path

import pytest
from temporalio.client import Client

from tests.workflow.deaths import Point, check_each
from tests.workflow.wires import KLING

POINTS: list[tuple[Point, ...]] = [
    (("video submit", "before"),),
    (("video submit", "after"),),
    # The second one dies of looking up what the first one has submitted.
    (("video submit", "after"), ("video look-up", "after")),
    (("video heartbeat", "after"),),
    (("video poll", "after"),),
    (("video move", "after"),),
]


@pytest.mark.timeout(300)
async def test_killed_there_the_job_goes_on_and_is_paid_for_once(
    client: Client, tmp_path: Path
) -> None:
    await check_each(client, tmp_path, POINTS, **KLING)
