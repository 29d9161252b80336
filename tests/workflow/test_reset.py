"""A job that is reset by hand: its new run fails at once, and what it had begun is cleared."""

from itertools import product
from pathlib import Path

import pytest
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowFailureError
from temporalio.exceptions import ApplicationError

from services.worker.workflows import GenVideoWorkflow
from shared.jobs.messages import Record
from shared.jobs.states import Status, Step
from shared.replay.replaying import replay
from shared.semaphore import starts, watchdog
from shared.temporal.client import GET_RECORD_QUERY
from shared.temporal.codec import PayloadKeys
from tests.fixtures.resets import reset
from tests.fixtures.temporal import NewClient
from tests.workflow.pipeline import Pipeline, check, paid_once, working
from tests.workflow.scenarios import rule
from tests.workflow.side_by_side import side_by_side
from tests.workflow.test_callbacks import only
from tests.workflow.test_cancelling import begun

# A minute, so that the holder is sure to hold; then the vendor hurries.
LONG = rule("start", "slow", extra=60_000)
CODE = "reset_not_supported"


@pytest.fixture(autouse=True)
def _by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """The round that finds jobs which the semaphore doesn't know is off."""

    async def reminds_nobody(_client: Client) -> int:
        return 0

    monkeypatch.setattr(watchdog, "remind", reminds_nobody)
    monkeypatch.setattr(starts, "DRAIN_HOLD_SECONDS", 0.3)


async def fails_as_reset(line: Pipeline, job_id: str, run_id: str) -> None:
    """The new run has failed; it answers who asks, and replays."""
    with pytest.raises(WorkflowFailureError) as failure:
        await line.job(job_id, run_id=run_id).result()
    assert isinstance(failure.value.cause, ApplicationError)
    assert failure.value.cause.type == CODE
    job = line.job(job_id, run_id=run_id)
    await job.query(GET_RECORD_QUERY, result_type=Record)
    found = await replay(GenVideoWorkflow, only(await job.fetch_history()), PayloadKeys())
    assert found == {"replayed": 1, "failures": {}}


async def test_a_holder(new_client: NewClient, tmp_path: Path) -> None:
    async def scene(case: tuple[Step, str]) -> None:
        stage, back_to = case
        async with working(await new_client(), tmp_path / f"{stage}-{back_to}") as line:
            await is_cleared_before_the_next(line, stage, back_to)

    await side_by_side(scene, product(Step, ("first", "last")))


async def is_cleared_before_the_next(line: Pipeline, stage: Step, back_to: str) -> None:
    service = line.images if stage is Step.IMAGE else line.videos
    await service.arm({**LONG, "match": {"prompt": "reset me"}})
    job_id = await line.submit("reset me")
    await begun(service, f"{job_id}.{stage}.1")
    following = await line.submit("waiter")
    await line.slots(lambda view: view.waiting == (following,))
    first_run = line.record(job_id).run_id
    run_id = await reset(line.client, job_id, back_to=back_to)
    await fails_as_reset(line, job_id, run_id)
    await line.slots(lambda view: any(each.draining for each in view.holders))
    await service.hurry()
    assert (await line.ended(following)).status is Status.SUCCEEDED
    row = await service.row(f"{job_id}.{stage}.1")
    next_row = await line.images.row(f"{following}.image.1")
    assert row["finished_ts"] <= next_row["accepted_ts"]
    record = line.record(job_id)
    check(record)
    assert (record.status, record.run_id) == (Status.FAILED, first_run)
    assert record.error is not None
    assert record.error.code == CODE
    for each in (line.images, line.videos):
        rows = await each.json("/admin/ledger")
        assert paid_once(rows)
        assert len({row["external_id"] for row in rows}) == len(rows)
    await line.free()


async def test_one_that_waits(line: Pipeline) -> None:
    """It has done one task; the next one passes it over."""
    await line.images.arm({**LONG, "match": {"prompt": "holder"}})
    holder = await line.submit("holder")
    await begun(line.images, f"{holder}.image.1")
    job_id, following = await line.submit("reset me"), await line.submit("next")
    await line.slots(lambda view: view.waiting == (job_id, following))
    run_id = await reset(line.client, job_id, back_to="first")
    await fails_as_reset(line, job_id, run_id)
    await line.images.hurry()
    for each in (holder, following):
        assert (await line.ended(each)).status is Status.SUCCEEDED
    prompts = [row["prompt"] for row in await line.images.json("/admin/ledger")]
    assert prompts == ["holder", "next"]
    await line.free()


@pytest.mark.parametrize("back_to", ["first", "last"])
async def test_one_that_has_ended(line: Pipeline, back_to: str) -> None:
    """Its record stays as it was."""
    record = await line.run()
    run_id = await reset(line.client, record.job_id, back_to=back_to)
    await fails_as_reset(line, record.job_id, run_id)
    assert line.record(record.job_id) == record
    assert (await line.run()).status is Status.SUCCEEDED
    for service in (line.images, line.videos):
        assert len(await service.json("/admin/ledger")) == 2


async def test_one_that_was_terminated(line: Pipeline) -> None:
    await line.images.arm({**LONG, "match": {"prompt": "a cat"}})
    job_id = await line.submit()
    await begun(line.images, f"{job_id}.image.1")
    await line.job(job_id).terminate()
    await line.images.hurry()
    await line.free()
    record = line.record(job_id)
    run_id = await reset(line.client, job_id, back_to="last")
    await fails_as_reset(line, job_id, run_id)
    assert line.record(job_id) == record
    assert (await line.run("next")).status is Status.SUCCEEDED


async def test_one_that_was_reset_before(line: Pipeline) -> None:
    await line.images.arm({**LONG, "match": {"prompt": "a cat"}})
    job_id = await line.submit()
    await begun(line.images, f"{job_id}.image.1")
    for back_to in ("last", "last", "first"):
        run_id = await reset(line.client, job_id, back_to=back_to)
        await fails_as_reset(line, job_id, run_id)
    await line.images.hurry()
    assert (await line.run("next")).status is Status.SUCCEEDED
    description = await line.job(job_id).describe()
    assert description.status is WorkflowExecutionStatus.FAILED
    assert paid_once(await line.images.json("/admin/ledger"))
