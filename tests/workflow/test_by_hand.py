"""What an operator does to a job by hand: reset, started again, deleted; its activities, too."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.client import (
    AsyncActivityHandle,
    Client,
    WorkflowFailureError,
)
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError

from shared.jobs.genvideo import GENVIDEO, GenVideoInput
from shared.jobs.messages import Record
from shared.jobs.slots import JOB_GATE
from shared.jobs.states import Status
from shared.pipeline.pipeline import NOT_A_JOB_ID, STARTED_AGAIN
from shared.semaphore import watchdog
from shared.semaphore import workflow as semaphore_workflow
from shared.semaphore.messages import semaphore_id
from shared.temporal.client import (
    GET_RECORD_QUERY,
    WORKFLOW_TASK_TIMEOUT,
)
from tests.fixtures.temporal import NewClient, delete, reset
from tests.workflow.pipeline import (
    STEPS,
    Pipeline,
    check,
    paid_once,
    side_by_side,
    why,
    working,
)
from tests.workflow.test_cancelling import stored
from tests.workflow.test_vendor_wire import accepting, ended_alone
from tests.workflow.wires import Wired, wired

CODE = "reset_not_supported"


@pytest.fixture(autouse=True)
def _by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """The round that finds jobs which the semaphore doesn't know is off."""

    async def reminds_nobody(_client: Client) -> int:
        return 0

    monkeypatch.setattr(watchdog, "remind", reminds_nobody)
    monkeypatch.setattr(semaphore_workflow, "DRAIN_HOLD_SECONDS", 0.3)


# A job that is reset


async def fails_as_reset(line: Pipeline, job_id: str, run_id: str) -> None:
    """The new run has failed; it answers who asks, and replays."""
    with pytest.raises(WorkflowFailureError) as failure:
        await line.job(job_id, run_id=run_id).result()
    assert isinstance(failure.value.cause, ApplicationError)
    assert failure.value.cause.type == CODE
    job = line.job(job_id, run_id=run_id)
    await job.query(GET_RECORD_QUERY, result_type=Record)
    await line.replays(job_id, run_id=run_id)


async def test_reset_holder(new_client: NewClient, tmp_path: Path) -> None:
    async def scene(case: tuple[str, str]) -> None:
        stage, back_to = case
        async with working(await new_client(), tmp_path / f"{stage}-{back_to}") as line:
            await is_cleared_before_the_next(line, stage, back_to)

    await side_by_side(scene, zip(STEPS, ("first", "last"), strict=True))


async def is_cleared_before_the_next(line: Pipeline, stage: str, back_to: str) -> None:
    service = line.service(stage)
    job_id = await line.held(stage, "reset me")
    following = await line.submit("waiter")
    await line.slots(lambda view: view.waiting == (following,))
    first_run = line.record(job_id).run_id
    run_id = await reset(line.client, job_id, back_to=back_to)
    await fails_as_reset(line, job_id, run_id)
    await line.slots(lambda view: any(each.draining for each in view.holders))
    await service.hurry()
    assert (await line.ended(following)).status is Status.SUCCEEDED
    await line.is_over_before(job_id, stage, following)
    record = line.record(job_id)
    check(record)
    assert (record.status, record.run_id) == (Status.FAILED, first_run)
    assert why(record).code == CODE
    for step in GENVIDEO.names:
        rows = await line.ledger(step)
        assert paid_once(rows)
        assert len({row["external_id"] for row in rows}) == len(rows)
    await line.free()


# An id that was there before, and what was ended or deleted behind a job's back


async def start_by_hand(line: Pipeline, job_id: str, code: str = STARTED_AGAIN) -> None:
    """The run must fail with the code, and must not have asked any vendor for anything."""
    handle = await line.client.start_workflow(
        GENVIDEO.workflow,
        GenVideoInput(prompt="again", style="ink"),
        id=job_id,
        task_queue=GENVIDEO.name,
        task_timeout=WORKFLOW_TASK_TIMEOUT,
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
    )
    with pytest.raises(WorkflowFailureError) as failure:
        await handle.result()
    assert isinstance(failure.value.cause, ApplicationError)
    assert failure.value.cause.type == code


async def test_terminated_job_is_neither_reset_nor_started_again(line: Pipeline) -> None:
    job_id = await line.held("video", "a cat")
    run_id = line.record(job_id).run_id
    following = await line.submit("next")
    await line.job(job_id).terminate()
    await line.videos.hurry()
    await start_by_hand(line, job_id)
    assert (await line.ended(following)).status is Status.SUCCEEDED
    record = line.record(job_id)
    await fails_as_reset(line, job_id, await reset(line.client, job_id, back_to="last"))
    assert line.record(job_id) == record
    check(record)
    assert (record.status, record.run_id) == (Status.FAILED, run_id)
    assert why(record).code == "terminated"
    for step in GENVIDEO.names:
        prompts = [row["prompt"] for row in await line.ledger(step)]
        assert prompts == ["a cat", "next"]
    await line.free()


async def test_workflow_under_an_id_of_no_job(line: Pipeline) -> None:
    """It ends at once: a run that tried for ever to write its record would keep new jobs out."""
    for job_id in ("my job", "../../x", "semaphore-mine"):
        await start_by_hand(line, job_id, NOT_A_JOB_ID)
    assert (await line.run()).status is Status.SUCCEEDED
    for step in GENVIDEO.names:
        assert [row["prompt"] for row in await line.ledger(step)] == ["a cat"]


@pytest.mark.parametrize("all_of_it", [False, True], ids=["job", "job and semaphore"])
async def test_deleted_job_keeps_its_video_and_the_slot(line: Pipeline, all_of_it: bool) -> None:
    """A semaphore without a memory reads the records first."""
    job_id = await line.held("video", "bad")
    following = await line.submit("good")
    await line.slots(lambda view: view.waiting == (following,))
    await delete(line.client, job_id)
    if all_of_it:
        await delete(line.client, semaphore_id(JOB_GATE))
    await line.slots(lambda view: any(each.draining for each in view.holders))
    await line.videos.hurry()
    assert (await line.ended(following)).status is Status.SUCCEEDED
    await line.is_over_before(job_id, "video", following)
    record = line.record(job_id)
    check(record)
    assert (record.status, {*record.assets}) == (Status.FAILED, {*GENVIDEO.names})
    assert why(record).code == "forgotten"
    assert stored(line, record, "video")
    assert paid_once(await line.ledger("video"))


# The activities of a job


@pytest_asyncio.fixture(loop_scope="module")
async def wired_line(client: Client, tmp_path: Path) -> AsyncIterator[Wired]:
    async with wired(client, tmp_path) as line:
        yield line


async def pending(line: Pipeline, job_id: str) -> PendingActivityInfo | None:
    found = (await line.job(job_id).describe()).raw_description.pending_activities
    return found[0] if found else None


async def test_activity_failed_by_hand_during_a_submit_keeps_the_slot_for_the_vendor(
    wired_line: Wired,
) -> None:
    bad, following = await accepting(wired_line, "image")
    failure = ApplicationError("by hand", type="by_hand", non_retryable=True)
    await (await by_hand(wired_line, bad)).fail(failure)
    record = await ended_alone(wired_line, "image", bad, following)
    assert (record.status, why(record).code) == (Status.FAILED, "by_hand")


async def test_activity_completed_by_hand_ends_its_job_after_the_vendor(
    wired_line: Wired,
) -> None:
    bad, following = await accepting(wired_line, "video")
    await (await by_hand(wired_line, bad)).complete({"garbage": [1]})
    record = await ended_alone(wired_line, "video", bad, following)
    assert (record.status, why(record).code) == (Status.FAILED, "bad_completion")


async def by_hand(line: Pipeline, job_id: str) -> AsyncActivityHandle:
    """The job's activity as an operator takes hold of it."""
    under_way = await pending(line, job_id)
    assert under_way is not None
    run_id = line.record(job_id).run_id
    return line.client.get_async_activity_handle(
        workflow_id=job_id, run_id=run_id, activity_id=under_way.activity_id
    )
