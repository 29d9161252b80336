"""What never ends: an attempt has its deadline, and the job has one over all."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from temporalio.client import Client

from shared.states import Status, Step
from tests.workflow.crowd import Crowd, crowd_of
from tests.workflow.pipeline import working
from tests.workflow.scenarios import FIRST_ATTEMPT, Scenario, rule

ENDLESS = {
    f"{step} {do}": Scenario(step, (rule("start", do, often=FIRST_ATTEMPT),))
    for step in Step
    for do in ("never-start", "stick")
}
ATTEMPT_SECONDS = {"image_attempt_seconds": 1, "video_attempt_seconds": 1}


@pytest.fixture
async def crowd(client: Client, tmp_path: Path) -> AsyncIterator[Crowd]:
    async with crowd_of(
        ENDLESS, client, tmp_path, video_poll_seconds=0.1, **ATTEMPT_SECONDS
    ) as crowd:
        yield crowd


async def test_an_attempt_without_an_end_is_given_up_and_made_anew(crowd: Crowd) -> None:
    for name, scenario in ENDLESS.items():
        record = await crowd.record(name)
        assert record.status is Status.SUCCEEDED, name
        assert getattr(record.attempts, scenario.step.value) == 2, name
        first, _ = await crowd.rows(name, scenario.step)
        # Only ComfyUI can be told to stop.
        assert first["outcome"] == ("cancelled" if scenario.step is Step.IMAGE else None), name


async def test_a_job_without_an_end_fails_at_its_own_deadline(
    client: Client, tmp_path: Path
) -> None:
    async with working(client, tmp_path, job_seconds=1) as line:
        await line.images.arm(rule("start", "stick"))
        record = await line.run()
        assert record.status is Status.FAILED
        assert record.error is not None
        assert record.error.code == "job_timed_out"
        [row] = await line.images.json("/admin/ledger")
        assert row["outcome"] == "cancelled"
        await line.free()
