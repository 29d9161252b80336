"""A job of an id that was there before: it submits nothing, the record stays, the slot goes on."""

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.client import Client, WorkflowFailureError
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError

from services.worker.workflows import STARTED_AGAIN
from shared.jobs.closing import close_record
from shared.jobs.messages import JobInput
from shared.jobs.states import Status, Step
from shared.semaphore import starts
from shared.semaphore.messages import JOB_GATE, semaphore_id
from shared.temporal.client import GENVIDEO_QUEUE, GENVIDEO_WORKFLOW, WORKFLOW_TASK_TIMEOUT
from tests.workflow.pipeline import Pipeline, check, paid_once
from tests.workflow.scenarios import rule
from tests.workflow.test_cancelling import begun, stored

LONG = rule("start", "slow", extra=60_000)


@pytest.fixture(autouse=True)
def _hold_shortly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starts, "DRAIN_HOLD_SECONDS", 0.3)


async def start_again(line: Pipeline, job_id: str) -> None:
    """By hand; the run must fail, and must not have asked any vendor for anything."""
    handle = await line.client.start_workflow(
        GENVIDEO_WORKFLOW,
        JobInput(prompt="again", style="ink"),
        id=job_id,
        task_queue=GENVIDEO_QUEUE,
        task_timeout=WORKFLOW_TASK_TIMEOUT,
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
    )
    with pytest.raises(WorkflowFailureError) as failure:
        await handle.result()
    assert isinstance(failure.value.cause, ApplicationError)
    assert failure.value.cause.type == STARTED_AGAIN


async def test_after_its_success(line: Pipeline) -> None:
    record = await line.run()
    await start_again(line, record.job_id)
    assert line.record(record.job_id) == record
    assert (await line.run("next")).status is Status.SUCCEEDED
    for service in (line.images, line.videos):
        prompts = [row["prompt"] for row in await service.json("/admin/ledger")]
        assert prompts == ["a cat", "next"]


async def test_after_it_was_terminated(line: Pipeline) -> None:
    await line.videos.arm({**LONG, "match": {"prompt": "a cat"}})
    job_id = await line.submit()
    await begun(line.videos, f"{job_id}.video.1")
    run_id = line.record(job_id).run_id
    following = await line.submit("next")
    await line.job(job_id).terminate()
    await line.videos.hurry()
    await start_again(line, job_id)
    assert (await line.ended(following)).status is Status.SUCCEEDED
    record = line.record(job_id)
    check(record)
    assert (record.status, record.run_id) == (Status.FAILED, run_id)
    assert record.error is not None
    assert record.error.code == "terminated"
    for service in (line.images, line.videos):
        prompts = [row["prompt"] for row in await service.json("/admin/ledger")]
        assert prompts == ["a cat", "next"]
    await line.free()


async def test_an_end_that_another_wrote_leaves_the_slot_to_the_vendor(line: Pipeline) -> None:
    """In the middle of its video; the job learns of it with its next change."""
    await line.videos.arm({**LONG, "match": {"prompt": "bad"}})
    job_id = await line.submit("bad")
    await begun(line.videos, f"{job_id}.video.1")
    following = await line.submit("good")
    ended = close_record(line.record(job_id), "forgotten")
    assert line.records.write(ended)
    await line.job(job_id).cancel()
    await line.slots(lambda view: view.waiting == (following,))
    await line.videos.hurry()
    assert (await line.ended(following)).status is Status.SUCCEEDED
    assert line.record(job_id) == ended
    row = await line.videos.row(f"{job_id}.video.1")
    next_row = await line.images.row(f"{following}.image.1")
    assert row["finished_ts"] <= next_row["accepted_ts"]


@pytest.mark.parametrize("all_of_it", [False, True], ids=["job", "job and semaphore"])
async def test_one_that_temporal_has_deleted_keeps_its_video_and_the_slot(
    line: Pipeline, all_of_it: bool
) -> None:
    """A semaphore without a memory reads the records first."""
    await line.videos.arm({**LONG, "match": {"prompt": "bad"}})
    job_id = await line.submit("bad")
    await begun(line.videos, f"{job_id}.video.1")
    following = await line.submit("good")
    await line.slots(lambda view: view.waiting == (following,))
    await delete(line.client, job_id)
    if all_of_it:
        await delete(line.client, semaphore_id(JOB_GATE))
    await line.slots(lambda view: any(each.draining for each in view.holders))
    await line.videos.hurry()
    assert (await line.ended(following)).status is Status.SUCCEEDED
    row = await line.videos.row(f"{job_id}.video.1")
    next_row = await line.images.row(f"{following}.image.1")
    assert row["finished_ts"] <= next_row["accepted_ts"]
    record = line.record(job_id)
    check(record)
    assert (record.status, {*record.assets}) == (Status.FAILED, {*Step})
    assert record.error is not None
    assert record.error.code == "forgotten"
    assert stored(line, record, Step.VIDEO)
    assert paid_once(await line.videos.json("/admin/ledger"))


async def delete(client: Client, job_id: str) -> None:
    """With its history."""
    execution = WorkflowExecution(workflow_id=job_id)
    await client.workflow_service.delete_workflow_execution(
        DeleteWorkflowExecutionRequest(namespace=client.namespace, workflow_execution=execution)
    )
