"""A job that is reset: its new run asks for the slot again, and adopts what was paid for."""

from itertools import product
from pathlib import Path

import pytest
from temporalio.client import Client, WorkflowExecutionStatus

from services.semaphore import watchdog
from services.semaphore.deterministic import starts
from services.worker.models import GEN_IMAGE
from services.worker.workflows import GenVideoWorkflow
from shared.jobs.states import Status, Step
from shared.replay.replaying import replay
from shared.temporal.codec import PayloadKeys
from tests.fixtures.eventually import eventually
from tests.fixtures.resets import has_done_tasks, reset
from tests.fixtures.semaphore_history import has_asked
from tests.fixtures.temporal import NewClient
from tests.workflow.pipeline import Pipeline, paid_once, working
from tests.workflow.scenarios import rule
from tests.workflow.side_by_side import side_by_side
from tests.workflow.test_callbacks import only
from tests.workflow.test_cancelling import begun

SLOWLY = rule("start", "slow", factor=15)
# A minute, so that the holder is sure to hold; then the vendor hurries.
LONG = rule("start", "slow", extra=60_000)


async def test_a_holder(
    new_client: NewClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(starts, "DRAIN_HOLD_SECONDS", 0.3)

    async def scene(case: tuple[Step, str]) -> None:
        stage, back_to = case
        async with working(await new_client(), tmp_path / f"{stage}-{back_to}") as line:
            await goes_on_after_a_reset(line, stage, back_to)

    await side_by_side(scene, product(Step, ("first", "last")))


async def goes_on_after_a_reset(line: Pipeline, stage: Step, back_to: str) -> None:
    service = line.images if stage is Step.IMAGE else line.videos
    await service.arm({**SLOWLY, "match": {"prompt": "reset me"}})
    job_id = await line.submit("reset me")
    await begun(service, f"{job_id}.{stage}.1")
    waiter = await line.submit("waiter")
    before = line.record(job_id)
    run_id = await reset(line.client, job_id, back_to=back_to)
    record = await line.ended(job_id)
    assert record.status is Status.SUCCEEDED
    assert record.run_id == run_id
    assert record.version > before.version
    assert record.transitions[: before.version] == before.transitions
    assert (await line.ended(waiter)).status is Status.SUCCEEDED
    for each in (line.images, line.videos):
        rows = await each.json("/admin/ledger")
        assert paid_once(rows)
        assert len([row for row in rows if row["charged"]]) == 2
        assert (await each.json("/admin/stats"))["max_in_flight"] == 1


async def test_one_that_has_ended_goes_through_again_without_paying(line: Pipeline) -> None:
    record = await line.run()
    await reset(line.client, record.job_id, back_to="first")
    await line.job(record.job_id).result()
    again = line.record(record.job_id)
    assert again.status is Status.SUCCEEDED
    assert again.transitions[: record.version] == record.transitions
    assert [each.version for each in again.transitions] == list(range(1, again.version + 1))
    for service in (line.images, line.videos):
        assert len(await service.json("/admin/ledger")) == 1
    description = await line.job(record.job_id).describe()
    assert description.status is WorkflowExecutionStatus.COMPLETED


async def test_one_that_waits_keeps_its_turn(line: Pipeline) -> None:
    await line.images.arm({**LONG, "match": {"prompt": "holder"}})
    holder = await line.submit("holder")
    await begun(line.images, f"{holder}.image.1")
    first, second = await line.submit("first"), await line.submit("second")
    await line.slots(lambda view: view.waiting_count == 2)
    run_id = await reset(line.client, first, back_to="last")
    await has_asked(line.client, run_id)
    await line.images.hurry()
    for job_id in (holder, first, second):
        assert (await line.ended(job_id)).status is Status.SUCCEEDED
    prompts = [row["prompt"] for row in await line.images.json("/admin/ledger")]
    assert prompts == ["holder", "first", "second"]


async def test_it_waits_for_a_permit_of_its_own(
    line: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server tells a run that was reset of the permit of the run before it as well."""
    monkeypatch.setattr(starts, "DRAIN_HOLD_SECONDS", 0.3)
    await line.images.arm(LONG)
    job_id = await line.submit()
    await begun(line.images, f"{job_id}.image.1")
    await line.change(paused=True)
    run_id = await reset(line.client, job_id, back_to="first")
    await has_asked(line.client, run_id)
    await has_done_tasks(line.client, job_id)
    transitions = line.record(job_id).transitions
    again = [each.note for each in transitions].index("queued", 1)
    assert {each.status for each in transitions[again:]} == {Status.QUEUED}
    await line.images.hurry()
    await line.change(paused=False)
    assert (await line.ended(job_id)).status is Status.SUCCEEDED


async def test_what_was_its_own_permit_stays_so_after_another_reset(
    line: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newest run goes through what the run before it did: it passed over a permit, and took
    one."""
    monkeypatch.setattr(starts, "DRAIN_HOLD_SECONDS", 0.3)
    for service in (line.images, line.videos):
        await service.arm(LONG)
    job_id = await line.submit()
    await begun(line.images, f"{job_id}.image.1")
    await reset(line.client, job_id, back_to="first")
    await line.images.hurry()
    await begun(line.videos, f"{job_id}.video.1")
    run_id = await reset(line.client, job_id, back_to="last")
    await line.videos.hurry()
    record = await line.ended(job_id)
    assert (record.status, record.run_id) == (Status.SUCCEEDED, run_id)
    history = await line.job(job_id).fetch_history()
    found = await replay(GenVideoWorkflow, only(history), PayloadKeys())
    assert found == {"replayed": 1, "failures": {}}


@pytest.mark.parametrize("overtaken", [False, True])
async def test_one_that_was_terminated_first_asks_by_itself(
    line: Pipeline, monkeypatch: pytest.MonkeyPatch, overtaken: bool
) -> None:
    """It is in no queue, and what it replays has asked; the round that would find it is off.

    The run before it did not ask by itself where it was refused: another was next.
    """

    async def reminds_nobody(_client: Client) -> int:
        return 0

    monkeypatch.setattr(watchdog, "remind", reminds_nobody)
    monkeypatch.setattr(starts, "DRAIN_HOLD_SECONDS", 0.3)
    await line.images.arm({**LONG, "match": {"prompt": "a cat"}})
    await line.change(paused=True)
    job_id = await line.submit()
    await asks(line, job_id)
    if overtaken:
        await line.submit("urgent", priority=1)
        await asks(line, job_id, so=False)
    await line.change(paused=False)
    await begun(line.images, f"{job_id}.image.1")
    await line.job(job_id).terminate()
    await line.images.hurry()
    await line.free()
    run_id = await reset(line.client, job_id, back_to="last")
    await line.job(job_id).result()
    record = line.record(job_id)
    assert (record.status, record.run_id) == (Status.SUCCEEDED, run_id)
    notes = [each.note for each in record.transitions]
    ended = notes.index("The job was terminated from outside.")
    assert notes[ended + 1] == "queued again"
    rows = await line.images.json("/admin/ledger")
    assert paid_once(rows)
    assert (await line.run()).status is Status.SUCCEEDED


async def asks(line: Pipeline, job_id: str, *, so: bool = True) -> None:
    """Return when the job is there to ask for the slot, or `so` no more."""

    async def pending() -> list[str]:
        described = (await line.job(job_id).describe()).raw_description
        return [each.activity_type.name for each in described.pending_activities]

    await eventually(pending, lambda found: (GEN_IMAGE in found) is so)


async def test_cancelled_before_its_turn_it_keeps_what_the_run_before_it_had_paid_for(
    line: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(starts, "DRAIN_HOLD_SECONDS", 0.3)
    await line.videos.arm(LONG)
    job_id = await line.submit()
    await begun(line.videos, f"{job_id}.video.1")
    await line.change(paused=True)
    # Another one is next, so that the reset job has no step under way that could tell.
    await line.submit("urgent", priority=1)
    await reset(line.client, job_id, back_to="first", reapplies=False)
    await line.slots(lambda view: view.waiting_count == 2)
    await line.job(job_id).cancel()
    await line.noted(job_id, "cancelled: waiting until the vendors are clear")
    [video] = await line.videos.json("/admin/ledger")
    assert video["finished_at"] is None
    await line.change(paused=False)
    await line.videos.hurry()
    record = await line.ended(job_id)
    assert (record.status, {*record.assets}) == (Status.CANCELLED, {*Step})
    assert record.tasks[f"{job_id}.video.1"] == video["job_id"]
