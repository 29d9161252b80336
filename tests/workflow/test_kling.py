"""Over Kling's own API: each trouble of the video vendor comes to the same end as over ours."""

from pathlib import Path

from temporalio.client import Client

from shared.jobs.messages import Attempts
from shared.jobs.states import Status, Step
from tests.workflow.crowd import crowd_of
from tests.workflow.pipeline import paid_once, working
from tests.workflow.scenarios import FOR_EITHER_STAGE, Scenario
from tests.workflow.wires import KLING, SIGNED

# By the name of a trouble: the generations that the record counts; all but two of the jobs succeed.
# Of the files' troubles a few, for files are fetched from every vendor alike.
ATTEMPTS = {
    "fails once": 2,
    "fails three times": 4,
    "fails always": 4,
    "refused for good": 0,
    "503 twice": 1,
    "full twice": 1,
    "500 twice": 1,
    "reset twice": 1,
    "reply lost": 1,
    "reply lost as 504": 1,
    "reply lost as 500": 1,
    "file truncated": 2,
    "file gone": 2,
    "file truncated at first": 1,
    "forgotten": 2,
    "polls fail": 1,
}
FAIL = {"fails always", "refused for good"}


async def test_each_trouble_costs_what_it_costs_over_the_small_contract(
    client: Client, tmp_path: Path
) -> None:
    scenarios = {name: Scenario(Step.VIDEO, FOR_EITHER_STAGE[name]) for name in ATTEMPTS}
    async with crowd_of(scenarios, client, tmp_path, **KLING) as crowd:
        records = {name: await crowd.record(name) for name in scenarios}
        rows = await crowd.line.videos.json("/admin/ledger")
        accepted = {name: len(await crowd.rows(name, Step.VIDEO)) for name in scenarios}
    assert {name: each.attempts for name, each in records.items()} == {
        name: Attempts(image=1, video=count) for name, count in ATTEMPTS.items()
    }
    assert accepted == ATTEMPTS
    failed = {name for name, each in records.items() if each.status is not Status.SUCCEEDED}
    assert failed == FAIL
    assert paid_once(rows)
    refused = records["refused for good"].error
    assert refused is not None
    assert "code 1301: risky content (request " in refused.message


async def test_what_was_charged_is_in_the_record(client: Client, tmp_path: Path) -> None:
    async with working(client, tmp_path, **KLING, kling_mode="pro", kling_duration=10) as line:
        record = await line.run()
        task = await line.videos.http.get(
            f"/v1/videos/image2video/{record.tasks[f'{record.job_id}.video.1']}",
            headers={"Authorization": f"Bearer {KLING['kling_api_key']}"},
        )
        charged = task.json()["data"]["final_unit_deduction"]
        assert float(charged) > 0
        assert record.units == {f"{record.job_id}.video.1": charged}


async def test_a_picture_can_be_told_by_its_address(client: Client, tmp_path: Path) -> None:
    async with working(client, tmp_path, **KLING, kling_image="url") as line:
        assert (await line.run()).status is Status.SUCCEEDED
        # The worker fetches it to store it, the video vendor to make a video of it.
        fetched = await line.images.json("/admin/journal?path=/img/files/")
        assert len(fetched) == 2


async def test_a_clock_that_is_two_hours_ahead_makes_no_difference(
    client: Client, tmp_path: Path
) -> None:
    async with working(client, tmp_path, **SIGNED) as line:
        await line.videos.http.put("/admin/config", json={"clock_skew": 7200})
        record = await line.run()
        assert record.status is Status.SUCCEEDED
        refused = await line.videos.json("/admin/journal?path=/v1/videos/&status=401")
        assert refused


async def test_a_wrong_key_fails_the_stage_before_anything_is_paid(
    client: Client, tmp_path: Path
) -> None:
    """Nothing can be there, so that the slot is not held for what the vendor doesn't tell."""
    changes = {**KLING, "kling_api_key": "another", "drain_seconds": 3600}
    async with working(client, tmp_path, **changes) as line:
        record = await line.run()
        assert (record.status, record.attempts) == (Status.FAILED, Attempts(image=1))
        assert record.error is not None
        assert (record.error.code, "region" in record.error.message) == ("refused_for_good", True)
        assert await line.videos.json("/admin/ledger") == []
