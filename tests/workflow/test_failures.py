"""Vendors that fail: four attempts a stage at the most, and delivery problems use up none."""

import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from temporalio.client import WorkflowExecutionStatus

from shared.errors import RefusedForGood, explained
from shared.failures import MAX_ATTEMPTS
from shared.jobs.assets import asset_path
from shared.jobs.messages import Attempts, Record
from shared.jobs.states import Status, Step
from tests.fixtures.temporal import NewClient
from tests.workflow.crowd import Crowd, crowd_of
from tests.workflow.pipeline import paid_once
from tests.workflow.scenarios import ALL

pytestmark = pytest.mark.asyncio(loop_scope="module")

both_stages = pytest.mark.parametrize("step", list(Step))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def crowd(
    new_client: NewClient, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Crowd]:
    async with crowd_of(ALL, await new_client(), tmp_path_factory.mktemp("crowd")) as crowd:
        yield crowd


def used(record: Record, step: Step) -> int:
    return int(getattr(record.attempts, step.value))


@both_stages
@pytest.mark.parametrize(("times", "failures"), [("once", 1), ("three times", 3)])
async def test_a_generation_that_fails_is_tried_again(
    crowd: Crowd, step: Step, times: str, failures: int
) -> None:
    record = await crowd.record(name := f"{step} fails {times}")
    assert (record.status, used(record, step)) == (Status.SUCCEEDED, failures + 1)
    rows = await crowd.rows(name, step)
    assert [row["external_id"] for row in rows] == [
        f"{record.job_id}.{step}.{number}" for number in range(1, failures + 2)
    ]
    assert [row["charged"] for row in rows] == [False] * failures + [True]


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
    crowd: Crowd, step: Step, trouble: str, *, turned_away: int, accepted: int
) -> None:
    """Every submit that the vendor saw, by its own books."""
    await crowd.record(name := f"{step} {trouble}")
    seen = (await crowd.turned_away(name, step), len(await crowd.rows(name, step)))
    assert seen == (turned_away, accepted)


@both_stages
async def test_after_four_attempts_the_job_has_failed(crowd: Crowd, step: Step) -> None:
    record = await crowd.record(name := f"{step} fails always")
    assert record.status is Status.FAILED
    assert used(record, step) == MAX_ATTEMPTS == 4
    assert record.error is not None
    assert (record.error.code, record.error.message) == ("generation_failed", "out of luck")
    assert len(await crowd.rows(name, step)) == 4
    description = await crowd.line.job(record.job_id).describe()
    assert description.status is WorkflowExecutionStatus.FAILED
    assert (record.asset_url is not None) == (step is Step.VIDEO)


async def test_a_job_that_asked_for_it_ends_degraded_with_its_image(crowd: Crowd) -> None:
    record = await crowd.record("video fails always, image will do")
    assert record.status is Status.DEGRADED
    assert record.attempts == Attempts(image=1, video=4)
    assert record.asset_url is not None
    assert record.asset_url.endswith(f"{record.job_id}/image")
    assert asset_path(crowd.line.settings.data_dir, record.job_id, Step.IMAGE).exists()
    description = await crowd.line.job(record.job_id).describe()
    assert description.status is WorkflowExecutionStatus.COMPLETED


@both_stages
async def test_a_final_refusal_ends_the_job_at_once(crowd: Crowd, step: Step) -> None:
    record = await crowd.record(name := f"{step} refused for good")
    assert record.status is Status.FAILED
    assert record.error is not None
    assert record.error.code == "refused_for_good"
    assert "risky content" in record.error.message
    assert used(record, step) == 0
    assert await crowd.rows(name, step) == []


@both_stages
async def test_an_operator_reads_what_kind_it_was_and_what_follows(
    crowd: Crowd, step: Step
) -> None:
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


async def test_a_refused_video_degrades_a_job_that_asked_for_it(crowd: Crowd) -> None:
    record = await crowd.record("video refused, image will do")
    assert (record.status, record.attempts) == (Status.DEGRADED, Attempts(image=1, video=0))


@both_stages
@pytest.mark.parametrize("trouble", ["503 twice", "full twice", "500 twice", "reset twice"])
async def test_a_delivery_problem_that_clears_uses_up_no_attempt(
    crowd: Crowd, step: Step, trouble: str
) -> None:
    record = await crowd.record(name := f"{step} {trouble}")
    assert (record.status, record.attempts) == (Status.SUCCEEDED, Attempts(image=1, video=1))
    assert len(await crowd.rows(name, step)) == 1


@both_stages
@pytest.mark.parametrize("how", ["", " as 504", " as 500"])
async def test_a_submit_whose_reply_was_lost_is_adopted(crowd: Crowd, step: Step, how: str) -> None:
    record = await crowd.record(name := f"{step} reply lost{how}")
    assert (record.status, record.attempts) == (Status.SUCCEEDED, Attempts(image=1, video=1))
    assert len(await crowd.rows(name, step)) == 1


@both_stages
@pytest.mark.parametrize("trouble", ["truncated", "empty", "gone", "503"])
async def test_a_bad_file_that_stays_bad_costs_an_attempt(
    crowd: Crowd, step: Step, trouble: str
) -> None:
    record = await crowd.record(f"{step} file {trouble}")
    assert (record.status, used(record, step)) == (Status.SUCCEEDED, 2)


@both_stages
@pytest.mark.parametrize("trouble", ["truncated", "reset", "503"])
async def test_a_file_that_is_good_at_the_second_look_costs_none(
    crowd: Crowd, step: Step, trouble: str
) -> None:
    record = await crowd.record(name := f"{step} file {trouble} at first")
    assert (record.status, used(record, step)) == (Status.SUCCEEDED, 1)
    assert len(await crowd.rows(name, step)) == 1


@both_stages
async def test_what_the_vendor_forgets_is_made_anew(crowd: Crowd, step: Step) -> None:
    record = await crowd.record(f"{step} forgotten")
    assert (record.status, used(record, step)) == (Status.SUCCEEDED, 2)
    assert any("doesn't know it any more" in each.note for each in record.transitions)


@both_stages
async def test_polls_that_fail_for_a_while_change_nothing(crowd: Crowd, step: Step) -> None:
    record = await crowd.record(f"{step} polls fail")
    assert (record.status, record.attempts) == (Status.SUCCEEDED, Attempts(image=1, video=1))


@both_stages
async def test_a_storm_of_troubles_ends_in_order(crowd: Crowd, step: Step) -> None:
    record = await crowd.record(f"{step} storm")
    assert record.status in (Status.SUCCEEDED, Status.FAILED)


async def test_nothing_was_paid_twice_and_nothing_is_held_when_all_have_ended(
    crowd: Crowd,
) -> None:
    for name in crowd.jobs:
        await crowd.record(name)
    for step in Step:
        assert paid_once(await crowd.service(step).json("/admin/ledger"))
        assert (await crowd.service(step).json("/admin/stats"))["duplicates"] == 0
    await crowd.line.free()
