"""A worker is killed around what it asks of a ComfyUI: the job goes on, and is paid for once."""

from pathlib import Path

import pytest
from temporalio.client import Client

from tests.workflow.deaths import Point, check_each
from tests.workflow.wires import COMFYUI
from tests.workflow.worker_that_dies import HEARD

POINTS: list[tuple[Point, ...]] = [
    (("image submit", "before"),),
    (("image submit", "after"),),
    # The second one dies of looking up what the first one has submitted.
    (("image submit", "after"), ("image look-up", "after")),
    (("image poll", "after"),),
    ((HEARD, "after"),),
]


@pytest.mark.timeout(300)
async def test_killed_there_the_job_goes_on_and_is_paid_for_once(
    client: Client, tmp_path: Path
) -> None:
    await check_each(client, tmp_path, POINTS, **COMFYUI)
