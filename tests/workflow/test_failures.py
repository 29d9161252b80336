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
from shared.store.records import Records
from tests.fixtures.temporal import NewClient
from tests.services.mock_core.serving import Json
from tests.shared.standins import asset_path
from tests.workflow.pipeline import (
    BEFORE_VIDEO,
    STEPS,
    Pipeline,
    once,
    paid_once,
    up_to,
    why,
    working,
)
from tests.workflow.scenarios import ALL, FIRST_ATTEMPT, Crowd, Scenario, crowd_of, rule

of_the_crowd = pytest.mark.asyncio(loop_scope="module")
both_stages = pytest.mark.parametrize("step", STEPS)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def crowd(
    new_client: NewClient, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Crowd]:
    async with crowd_of(ALL, await new_client(), tmp_path_factory.mktemp("crowd")) as crowd:
        yield crowd


def used(record: Record, step: str) -> int:
    return record.attempts[step]


@of_the_crowd
@both_stages
@pytest.mark.parametrize(("times", "failures"), [("once", 1), ("three times", 3)])
async def test_a_generation_that_fails_is_tried_again(
    crowd: Crowd, step: str, times: str, failures: int
) -> None:
    record = await crowd.record(name := f"{step} fails {times}")
    assert (record.status, used(record, step)) == (Status.SUCCEEDED, failures + 1)
    rows = await crowd.rows(name, step)
    assert [row["external_id"] for row in rows] == [
        f"{record.job_id}.{step}.{number}" for number in range(1, failures + 2)
    ]
    assert [row["charged"] for row in rows] == [False] * failures + [True]


@of_the_crowd
@both_stages
@pytest.mark.parametrize(
    ("trouble", "turned_away", "accepted"),
    [
        ("fails always", 0, 4),
        ("fails once", 0, 2),
        ("forgotten", 0, 2),
        ("503 twice", 2, 1),
        ("full twice", 2, 1),
        ("500 twice", 2, 1),
        ("reset twice", 2, 1),
        ("reply lost", 0, 1),
        ("polls fail", 0, 1),
        ("refused for good", 1, 0),
    ],
)
async def test_no_layer_multiplies_another_ones_tries(
    crowd: Crowd, step: str, trouble: str, *, turned_away: int, accepted: int
) -> None:
    """Every submit that the vendor saw, by its own books."""
    await crowd.record(name := f"{step} {trouble}")
    seen = (await crowd.turned_away(name, step), len(await crowd.rows(name, step)))
    assert seen == (turned_away, accepted)


@of_the_crowd
@both_stages
async def test_after_four_attempts_the_job_has_failed(crowd: Crowd, step: str) -> None:
    record = await crowd.record(name := f"{step} fails always")
    assert record.status is Status.FAILED
    assert used(record, step) == MAX_ATTEMPTS == 4
    assert (why(record).code, why(record).message) == ("generation_failed", "out of luck")
    assert len(await crowd.rows(name, step)) == 4
    description = await crowd.line.job(record.job_id).describe()
    assert description.status is WorkflowExecutionStatus.FAILED
    assert (record.asset_url is not None) == (step == "video")


@of_the_crowd
async def test_a_job_that_asked_for_it_ends_degraded_with_its_image(crowd: Crowd) -> None:
    record = await crowd.record("video fails always, image will do")
    assert record.status is Status.DEGRADED
    assert record.attempts == up_to("video", 4)
    assert record.asset_url is not None
    assert record.asset_url.endswith(f"{record.job_id}/{BEFORE_VIDEO}")
    assert asset_path(crowd.line.settings.data_dir, record.job_id, IMAGE).exists()
    description = await crowd.line.job(record.job_id).describe()
    assert description.status is WorkflowExecutionStatus.COMPLETED


@of_the_crowd
@both_stages
async def test_a_final_refusal_ends_the_job_at_once(crowd: Crowd, step: str) -> None:
    record = await crowd.record(name := f"{step} refused for good")
    assert record.status is Status.FAILED
    assert why(record).code == "refused_for_good"
    assert "risky content" in why(record).message
    assert used(record, step) == 0
    assert await crowd.rows(name, step) == []


@of_the_crowd
@both_stages
async def test_an_operator_reads_what_kind_it_was_and_what_follows(crowd: Crowd, step: str) -> None:
    """In the record's notes, and in the failure that the Temporal UI shows."""
    refused = await crowd.record(f"{step} refused for good")
    failed_once = await crowd.record(f"{step} fails once")
    assert any(
        each.note.endswith("(refused_for_good; not asked again)") for each in refused.transitions
    )
    assert any(
        each.note.endswith("(generation_failed; attempt 2 of 4 follows)")
        for each in failed_once.transitions
    )
    events = (await crowd.line.job(refused.job_id).fetch_history()).events
    [failure] = [
        event.activity_task_failed_event_attributes.failure
        for event in events
        if event.HasField("activity_task_failed_event_attributes")
    ]
    details, *_ = failure.application_failure_info.details.payloads
    assert json.loads(details.data) == explained(RefusedForGood("risky content"))


@of_the_crowd
async def test_a_refused_video_degrades_a_job_that_asked_for_it(crowd: Crowd) -> None:
    record = await crowd.record("video refused, image will do")
    assert (record.status, record.attempts) == (Status.DEGRADED, up_to("video", 0))


@of_the_crowd
@both_stages
@pytest.mark.parametrize("trouble", ["503 twice", "full twice", "500 twice", "reset twice"])
async def test_a_delivery_problem_that_clears_uses_up_no_attempt(
    crowd: Crowd, step: str, trouble: str
) -> None:
    record = await crowd.record(name := f"{step} {trouble}")
    assert (record.status, record.attempts) == (Status.SUCCEEDED, once())
    assert len(await crowd.rows(name, step)) == 1


@of_the_crowd
@both_stages
@pytest.mark.parametrize("how", ["", " as 504", " as 500"])
async def test_a_submit_whose_reply_was_lost_is_adopted(crowd: Crowd, step: str, how: str) -> None:
    record = await crowd.record(name := f"{step} reply lost{how}")
    assert (record.status, record.attempts) == (Status.SUCCEEDED, once())
    assert len(await crowd.rows(name, step)) == 1


@of_the_crowd
@both_stages
@pytest.mark.parametrize("trouble", ["truncated", "empty", "gone", "503"])
async def test_a_bad_file_that_stays_bad_costs_an_attempt(
    crowd: Crowd, step: str, trouble: str
) -> None:
    record = await crowd.record(f"{step} file {trouble}")
    assert (record.status, used(record, step)) == (Status.SUCCEEDED, 2)


@of_the_crowd
@both_stages
@pytest.mark.parametrize("trouble", ["truncated", "reset", "503"])
async def test_a_file_that_is_good_at_the_second_look_costs_none(
    crowd: Crowd, step: str, trouble: str
) -> None:
    record = await crowd.record(name := f"{step} file {trouble} at first")
    assert (record.status, used(record, step)) == (Status.SUCCEEDED, 1)
    assert len(await crowd.rows(name, step)) == 1


@of_the_crowd
@both_stages
async def test_what_the_vendor_forgets_is_made_anew(crowd: Crowd, step: str) -> None:
    record = await crowd.record(f"{step} forgotten")
    assert (record.status, used(record, step)) == (Status.SUCCEEDED, 2)
    assert any("doesn't know it any more" in each.note for each in record.transitions)


@of_the_crowd
@both_stages
async def test_polls_that_fail_for_a_while_change_nothing(crowd: Crowd, step: str) -> None:
    record = await crowd.record(f"{step} polls fail")
    assert (record.status, record.attempts) == (Status.SUCCEEDED, once())


@of_the_crowd
@both_stages
async def test_a_storm_of_troubles_ends_in_order(crowd: Crowd, step: str) -> None:
    record = await crowd.record(f"{step} storm")
    assert record.status in (Status.SUCCEEDED, Status.FAILED)


@of_the_crowd
async def test_nothing_was_paid_twice_and_nothing_is_held_when_all_have_ended(
    crowd: Crowd,
) -> None:
    for name in crowd.jobs:
        await crowd.record(name)
    for step in STEPS:
        assert paid_once(await crowd.service(step).json("/admin/ledger"))
        assert (await crowd.service(step).json("/admin/stats"))["duplicates"] == 0
    await crowd.line.free()


# What never ends


ENDLESS = {
    f"{step} {do}": Scenario(step, (rule("start", do, often=FIRST_ATTEMPT),))
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


@pytest.fixture
async def endless(client: Client, tmp_path: Path) -> AsyncIterator[Crowd]:
    async with crowd_of(ENDLESS, client, tmp_path, video_poll_seconds=0.1, **LIMITS) as endless:
        yield endless


async def test_an_image_that_sticks_is_stopped_and_made_anew(endless: Crowd) -> None:
    """ComfyUI accepts a cancel, and says when it has stopped."""
    record = await endless.record("image stick")
    assert (record.status, record.attempts["image"]) == (Status.SUCCEEDED, 2)
    first, _ = await endless.rows("image stick", "image")
    assert first["outcome"] == "cancelled"
    assert any("(attempt_timed_out; attempt 2" in each.note for each in record.transitions)


async def test_what_never_ends_is_given_up_and_not_paid_again(endless: Crowd) -> None:
    """It may still run, so that no other one is begun; waiting at the vendor is no work."""
    for name in (name for name in ENDLESS if name != "image stick"):
        record = await endless.record(name)
        assert record.status is Status.FAILED, name
        assert why(record).code == "given_up", name
        step = ENDLESS[name].step
        assert record.attempts[step] == 1, name
        [row] = await endless.rows(name, step)
        assert row["outcome"] == ("cancelled" if step == "image" else None), name


async def test_a_late_result_is_used(client: Client, tmp_path: Path) -> None:
    limits = LIMITS | {"video_give_up_seconds": 60}
    async with working(client, tmp_path, video_poll_seconds=0.1, **limits) as line:
        await line.videos.arm(rule("start", "slow", extra=2_000))
        record = await line.run()
        assert (record.status, record.attempts["video"]) == (Status.SUCCEEDED, 1)
        assert any("takes longer than 1 s" in each.note for each in record.transitions)


async def test_a_job_without_an_end_fails_at_its_own_deadline(
    client: Client, tmp_path: Path
) -> None:
    async with working(client, tmp_path, job_seconds=3) as line:
        await line.images.arm(rule("start", "stick"))
        record = await line.run()
        assert record.status is Status.FAILED
        assert why(record).code == "job_timed_out"
        [row] = await line.images.json("/admin/ledger")
        assert row["outcome"] == "cancelled"
        await line.free()


# What nobody foresaw


async def test_in_the_fetch_the_video_comes_by_the_poll(
    line: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def breaks(*_: Any) -> None:
        raise LookupError("nobody foresaw it")

    monkeypatch.setattr(StageActivities, "_fetch_at_once", breaks)
    assert (await line.run()).status is Status.SUCCEEDED
    await line.free()


async def test_in_a_record_a_later_version_catches_up(
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


async def test_as_the_job_enters_the_queue_it_is_tried_until_it_is_in(
    line: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits, tries = line.settings.limits, []

    def breaks(self: object) -> object:
        tries.append(1)
        if len(tries) < 3:
            raise LookupError("nobody foresaw it")
        return limits()

    monkeypatch.setattr(type(line.settings), "limits", breaks)
    assert (await line.run()).status is Status.SUCCEEDED
    assert len(tries) == 3
