"""What an operator does to a job by hand: reset, started again, deleted; its activities, too."""

from collections.abc import AsyncIterator
from datetime import datetime
from itertools import product
from pathlib import Path

import pytest
import pytest_asyncio
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import PendingActivityState
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.api.workflowservice.v1 import (
    PauseActivityRequest,
    ResetActivityRequest,
)
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
from tests.fixtures.eventually import eventually
from tests.fixtures.temporal import NewClient, delete, reset
from tests.workflow.pipeline import (
    LONG,
    STEPS,
    Pipeline,
    begun,
    check,
    once,
    paid_once,
    side_by_side,
    why,
    working,
)
from tests.workflow.scenarios import FIRST, rule
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


async def test_succeeded_job_is_neither_reset_nor_started_again(line: Pipeline) -> None:
    record = await line.run()
    run_id = await reset(line.client, record.job_id, back_to="first")
    await fails_as_reset(line, record.job_id, run_id)
    await start_by_hand(line, record.job_id)
    assert line.record(record.job_id) == record
    assert (await line.run("next")).status is Status.SUCCEEDED
    for step in GENVIDEO.names:
        prompts = [row["prompt"] for row in await line.ledger(step)]
        assert prompts == ["a cat", "next"]


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


ACCEPTING = rule("submit", "delay", often=FIRST, seconds=60_000)
STARTED = PendingActivityState.PENDING_ACTIVITY_STATE_STARTED


@pytest_asyncio.fixture(loop_scope="module")
async def wired_line(client: Client, tmp_path: Path) -> AsyncIterator[Wired]:
    async with wired(client, tmp_path) as line:
        yield line


async def pending(line: Pipeline, job_id: str) -> PendingActivityInfo | None:
    found = (await line.job(job_id).describe()).raw_description.pending_activities
    return found[0] if found else None


async def reset_activity(line: Pipeline, job_id: str, *, forget: bool) -> None:
    await line.client.workflow_service.reset_activity(
        ResetActivityRequest(
            namespace=line.client.namespace,
            execution=WorkflowExecution(workflow_id=job_id),
            type="gen_image",
            reset_heartbeat=forget,
        )
    )


async def pause_activity(line: Pipeline, job_id: str) -> None:
    """Return when the try that was under way has ended."""
    await line.client.workflow_service.pause_activity(
        PauseActivityRequest(
            namespace=line.client.namespace,
            execution=WorkflowExecution(workflow_id=job_id),
            type="gen_image",
        )
    )


async def begins(line: Pipeline, job_id: str, *, after: datetime) -> None:
    """Return when another try of the job's activity has begun."""
    await eventually(
        lambda: pending(line, job_id),
        lambda it: it and it.state == STARTED and it.last_started_time.ToDatetime() > after,
    )


async def test_reset_activity_continues_with_the_paid_generation(
    new_client: NewClient, tmp_path: Path
) -> None:
    async def scene(case: tuple[str, bool]) -> None:
        vendor, forget = case
        async with working(await new_client(), tmp_path / f"{vendor}-{forget}") as line:
            accepts = vendor == "accepts"
            await is_charged_once(line, accepts, forget=forget, pauses=accepts == forget)

    await side_by_side(scene, product(("accepts", "works"), (False, True)))


async def is_charged_once(
    line: Pipeline, is_accepting: bool, *, forget: bool, pauses: bool
) -> None:
    await line.images.arm(ACCEPTING if is_accepting else LONG)
    job_id = await line.submit()
    if is_accepting:
        await line.images.until("/admin/trace", lambda it: bool(it["rows"]))
    else:
        await begun(line.images, f"{job_id}.image.1")
    before = await pending(line, job_id)
    assert before is not None
    if pauses:
        await pause_activity(line, job_id)
    if is_accepting:
        # What the vendor is accepting is awaited, whatever was asked of the try.
        await reset_activity(line, job_id, forget=forget)
        await line.images.hurry()
    else:
        if pauses:
            await eventually(lambda: pending(line, job_id), lambda it: it and it.state != STARTED)
        await reset_activity(line, job_id, forget=forget)
        await begins(line, job_id, after=before.last_started_time.ToDatetime())
        await line.images.hurry()
    record = await line.ended(job_id)
    assert (record.status, record.attempts) == (Status.SUCCEEDED, once())
    [row] = await line.ledger("image")
    assert row["charged"]


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
