"""Vendors that fail: four attempts a stage at the most, and delivery problems use up none."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from temporalio.client import Client, WorkflowExecutionStatus

from shared.errors import RefusedForGood, explained
from shared.failures import MAX_ATTEMPTS
from shared.jobs.genvideo import IMAGE
from shared.jobs.messages import Record
from shared.jobs.states import Status
from shared.pipeline.activities import StageActivities
from shared.pipeline.messages import Order, Stored
from shared.pipeline.polling import Ended
from shared.store.records import Records
from tests.fixtures.temporal import NewClient
from tests.services.mock_core.serving import Json
from tests.shared.standins import asset_path
from tests.workflow.pipeline import BEFORE_VIDEO, STEPS, Pipeline, paid_once, up_to, why, working
from tests.workflow.scenarios import (
    FIRST_ATTEMPT,
    FOR_EITHER_STAGE,
    Crowd,
    Scenario,
    Trouble,
    crowd_of,
    rule,
)

TROUBLES = {
    f"{step} {name}": Scenario(step, trouble)
    for step in STEPS
    for name, trouble in FOR_EITHER_STAGE.items()
}
DEGRADES: Json = {"on_video_failure": "image"}
WILL_DO = {
    "fails always": Scenario("video", FOR_EITHER_STAGE["fails always"], DEGRADES),
    "refused": Scenario("video", Trouble((rule("submit", "refuse", code=1102),)), DEGRADES),
}

both_stages = pytest.mark.parametrize("step", STEPS)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def crowd(
    new_client: NewClient, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Crowd]:
    folder = tmp_path_factory.mktemp("crowd")
    async with crowd_of(TROUBLES | WILL_DO, await new_client(), folder) as crowd:
        yield crowd


@pytest.mark.parametrize("name", TROUBLES)
async def test_each_failure_costs_its_attempts_only_once(crowd: Crowd, name: str) -> None:
    await crowd.costs(name)


@both_stages
async def test_job_fails_after_four_attempts(crowd: Crowd, step: str) -> None:
    record = await crowd.record(f"{step} fails always")
    assert record.attempts[step] == MAX_ATTEMPTS == 4
    assert (why(record).code, why(record).message) == ("generation_failed", "out of luck")
    description = await crowd.line.job(record.job_id).describe()
    assert description.status is WorkflowExecutionStatus.FAILED
    assert (record.asset_url is not None) == (step == "video")


async def test_job_may_end_degraded_with_its_image(crowd: Crowd) -> None:
    record = await crowd.record("fails always")
    assert record.status is Status.DEGRADED
    assert record.attempts == up_to("video", 4)
    assert record.asset_url is not None
    assert record.asset_url.endswith(f"{record.job_id}/{BEFORE_VIDEO}")
    assert asset_path(crowd.line.settings.data_dir, record.job_id, IMAGE).exists()
    description = await crowd.line.job(record.job_id).describe()
    assert description.status is WorkflowExecutionStatus.COMPLETED
    refused = await crowd.record("refused")
    assert (refused.status, refused.attempts) == (Status.DEGRADED, up_to("video", 0))


@both_stages
async def test_operator_sees_the_kind_of_failure_and_the_consequence(
    crowd: Crowd, step: str
) -> None:
    """In the record's notes, and in the failure that the Temporal UI shows."""
    refused = await crowd.record(f"{step} refused for good")
    assert why(refused).code == "refused_for_good"
    assert "risky content" in why(refused).message
    assert says(refused, "(refused_for_good; not asked again)")
    failed_first = await crowd.record(f"{step} fails three times")
    assert says(failed_first, "(generation_failed; attempt 2 of 4 follows)")
    assert says(await crowd.record(f"{step} forgotten"), "doesn't know it any more")
    events = (await crowd.line.job(refused.job_id).fetch_history()).events
    [failure] = [
        event.activity_task_failed_event_attributes.failure
        for event in events
        if event.HasField("activity_task_failed_event_attributes")
    ]
    details, *_ = failure.application_failure_info.details.payloads
    assert json.loads(details.data) == explained(RefusedForGood("risky content"))


def says(record: Record, words: str) -> bool:
    return any(words in each.note for each in record.transitions)


async def test_after_all_ends_nothing_was_paid_twice_or_is_held(
    crowd: Crowd,
) -> None:
    for name in crowd.jobs:
        await crowd.record(name)
    for step in STEPS:
        assert paid_once(await crowd.line.ledger(step))
        assert (await crowd.line.service(step).json("/admin/stats"))["duplicates"] == 0
    await crowd.line.free()


# What never ends


ENDLESS = {
    f"{step} {do}": Scenario(step, Trouble((rule("start", do, often=FIRST_ATTEMPT),)))
    for step in STEPS
    for do in ("never-start", "stick")
}
LIMITS: Json = {
    "image_attempt_seconds": 1,
    "video_attempt_seconds": 1,
    "image_give_up_seconds": 5,
    "video_give_up_seconds": 5,
    "drain_seconds": 1,
}


async def test_endless_video_is_given_up_and_a_stuck_image_made_again(
    client: Client, tmp_path: Path
) -> None:
    """A ComfyUI stops at a cancel, and says so. What may still run has no other one beside it;
    waiting at the vendor is no work."""
    async with crowd_of(ENDLESS, client, tmp_path, video_poll_seconds=0.1, **LIMITS) as crowd:
        for name, scenario in ENDLESS.items():
            record, (first, *others) = await crowd.record(name), await crowd.rows(name)
            assert first["outcome"] == ("cancelled" if scenario.step == "image" else None), name
            if name == "image stick":
                assert (record.status, len(others)) == (Status.SUCCEEDED, 1)
                assert says(record, "(attempt_timed_out; attempt 2")
            else:
                assert (record.status, why(record).code) == (Status.FAILED, "given_up"), name
                assert (record.attempts[scenario.step], others) == (1, []), name


async def test_late_result_is_used(client: Client, tmp_path: Path) -> None:
    limits = LIMITS | {"video_give_up_seconds": 60}
    async with working(client, tmp_path, video_poll_seconds=0.1, **limits) as line:
        await line.videos.arm(rule("start", "slow", extra=2_000), rule("callback", "lose"))
        record = await line.run()
        assert (record.status, record.attempts["video"]) == (Status.SUCCEEDED, 1)
        assert says(record, "takes longer than 1 s")
        assert [row["charged"] for row in await line.ledger("video")] == [True]


async def test_endless_job_fails_at_its_own_deadline(client: Client, tmp_path: Path) -> None:
    async with working(client, tmp_path, job_seconds=3) as line:
        await line.images.arm(rule("start", "stick"))
        record = await line.run()
        assert record.status is Status.FAILED
        assert why(record).code == "job_timed_out"
        [row] = await line.images.json("/admin/ledger")
        assert row["outcome"] == "cancelled"
        await line.free()


# What nobody foresaw


async def test_unforeseen_error_in_the_fetch_falls_back_to_the_poll(
    line: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = StageActivities._store

    async def breaks(stage: StageActivities, order: Order, end: Ended, *at_once: Any) -> Stored:
        if at_once:
            raise LookupError("nobody foresaw it")
        return await store(stage, order, end)

    monkeypatch.setattr(StageActivities, "_store", breaks)
    assert (await line.run()).status is Status.SUCCEEDED
    await line.free()


async def test_unforeseen_error_in_a_record_is_made_good_by_a_later_version(
    line: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = Records.append

    def breaks(store: Records, record: Record) -> bool:
        if record.transitions[-1].note.startswith("video accepted"):
            raise LookupError("nobody foresaw it")
        return append(store, record)

    monkeypatch.setattr(Records, "append", breaks)
    record = await line.run()
    assert record.status is Status.SUCCEEDED
    await line.free()
