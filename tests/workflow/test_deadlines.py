"""What never ends: an attempt has its deadline, and the job has one over all."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from temporalio.client import Client

from shared.jobs.states import Status, Step
from tests.services.mock_core.serving import Json
from tests.workflow.crowd import Crowd, crowd_of
from tests.workflow.pipeline import working
from tests.workflow.scenarios import FIRST_ATTEMPT, Scenario, rule

ENDLESS = {
    f"{step} {do}": Scenario(step, (rule("start", do, often=FIRST_ATTEMPT),))
    for step in Step
    for do in ("never-start", "stick")
}
LIMITS: Json = {
    "image_attempt_seconds": 1,
    "video_attempt_seconds": 1,
    "image_give_up_seconds": 5,
    "video_give_up_seconds": 5,
    "drain_seconds": 1,
}


@pytest.fixture
async def crowd(client: Client, tmp_path: Path) -> AsyncIterator[Crowd]:
    async with crowd_of(ENDLESS, client, tmp_path, video_poll_seconds=0.1, **LIMITS) as crowd:
        yield crowd


async def test_an_image_that_sticks_is_stopped_and_made_anew(crowd: Crowd) -> None:
    """ComfyUI can be told to stop, and says that it has."""
    record = await crowd.record("image stick")
    assert (record.status, record.attempts.image) == (Status.SUCCEEDED, 2)
    first, _ = await crowd.rows("image stick", Step.IMAGE)
    assert first["outcome"] == "cancelled"
    assert any("(attempt_timed_out; attempt 2" in each.note for each in record.transitions)


async def test_what_never_ends_is_given_up_and_not_paid_again(crowd: Crowd) -> None:
    """It may still run, so that no other one is begun; waiting at the vendor is no work."""
    for name in (name for name in ENDLESS if name != "image stick"):
        record = await crowd.record(name)
        assert record.status is Status.FAILED, name
        assert record.error is not None
        assert record.error.code == "given_up", name
        step = ENDLESS[name].step
        assert getattr(record.attempts, step.value) == 1, name
        [row] = await crowd.rows(name, step)
        assert row["outcome"] == ("cancelled" if step is Step.IMAGE else None), name


async def test_a_late_result_is_used(client: Client, tmp_path: Path) -> None:
    limits = LIMITS | {"video_give_up_seconds": 60}
    async with working(client, tmp_path, video_poll_seconds=0.1, **limits) as line:
        await line.videos.arm(rule("start", "slow", extra=2_000))
        record = await line.run()
        assert (record.status, record.attempts.video) == (Status.SUCCEEDED, 1)
        assert any("takes longer than 1 s" in each.note for each in record.transitions)


async def test_a_job_without_an_end_fails_at_its_own_deadline(
    client: Client, tmp_path: Path
) -> None:
    async with working(client, tmp_path, job_seconds=3) as line:
        await line.images.arm(rule("start", "stick"))
        record = await line.run()
        assert record.status is Status.FAILED
        assert record.error is not None
        assert record.error.code == "job_timed_out"
        [row] = await line.images.json("/admin/ledger")
        assert row["outcome"] == "cancelled"
        await line.free()
