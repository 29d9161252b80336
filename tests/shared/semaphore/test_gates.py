"""A stage's gate: held from the grant until it is given back, and never for longer than the run."""

import asyncio

import pytest
from temporalio.api.enums.v1 import EventType

from shared.jobs.slots import JOB_GATE
from shared.semaphore.messages import RELEASE_SIGNAL
from shared.semaphore.state import SemaphoreRules
from tests.fixtures.eventually import eventually
from tests.fixtures.semaphore import drains, holders, watches
from tests.shared.semaphore.standins import JobHandle, Jobs, StandIn, semaphore_of

GATE = "image"
ASKED = EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED
RELEASED = EventType.EVENT_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED


@pytest.fixture
async def passers(kept: Jobs) -> Jobs:
    """Jobs at a stage's gate, where a semaphore has looked round."""
    passers = kept.at(GATE)
    await passers.until(lambda view: True)
    await passers.change(limit=1)
    return passers


async def said(handle: JobHandle, kind: EventType.ValueType) -> None:
    """Return when a run has said something."""

    async def has_said() -> bool:
        return any(event.event_type == kind for event in (await handle.fetch_history()).events)

    await eventually(has_said, bool)


class TestContinueAsNew:
    @pytest.fixture
    def rules(self) -> SemaphoreRules:
        return SemaphoreRules(max_history=25)

    async def test_job_behind_a_gate_continues_while_the_next_one_passes(
        self, passers: Jobs
    ) -> None:
        names = [f"job-{n}" for n in range(6)]
        handles = [await passers.start(name) for name in names]
        for handle in handles:
            await passers.book.has_entered(handle.id)
            await handle.signal(StandIn.pass_on)
        await passers.until(lambda view: not view.holders and not view.waiting)
        assert passers.book.entered == names
        assert passers.book.most == 1
        assert {permit.name for permit in passers.book.permits} == {passers.gate}
        assert passers.book.tokens_grow
        await asyncio.gather(*map(passers.finish, names))


async def test_release_counts_only_for_its_run_and_token(passers: Jobs) -> None:
    _, waiter = await passers.line_up("holder", "waiter")
    [permit] = passers.book.permits
    token, other = permit.token, str(waiter.first_execution_run_id)
    for wrong in ({"token": token - 1}, {"token": token + 1}, {"run_id": other}):
        await passers.semaphore.signal(RELEASE_SIGNAL, permit.model_copy(update=wrong))
    view = await passers.view()
    assert (holders(view), view.waiting) == (["holder"], ("waiter",))
    for _ in range(3):
        await passers.semaphore.signal(RELEASE_SIGNAL, permit)
    await passers.book.has_entered("waiter")
    view = await passers.view()
    assert (holders(view), view.waiting) == (["waiter"], ())


async def test_second_pass_of_a_gate_has_its_own_permit(
    passers: Jobs,
) -> None:
    """The watch that belongs to the first permit is over with it."""
    holder, _ = await passers.line_up("holder", "next")
    await holder.signal(StandIn.pass_on)
    await passers.book.has_entered("next")
    await passers.ask(await passers.request_of(holder))
    await passers.finish("next")
    view = await passers.until(lambda view: holders(view) == ["holder"])
    # Longer than until a watch that has failed is begun again.
    await asyncio.sleep(1.5)
    assert await passers.view() == view
    begun = [each.run.job_id for each in await watches(passers.client, passers.gate)]
    assert begun == ["holder", "next", "holder"]


async def test_release_after_a_kill_does_not_shorten_the_drain(
    passers: Jobs,
) -> None:
    holder, _ = await passers.line_up("holder", "next")
    await holder.terminate()
    await passers.book.has_drained("holder")
    [permit] = passers.book.permits
    await passers.semaphore.signal(RELEASE_SIGNAL, permit)
    assert holders(await passers.change(limit=1)) == ["holder"]
    assert len(await drains(passers.client, passers.gate)) == 1


async def test_rebuild_knows_who_has_passed_holds_and_waits(
    passers: Jobs,
) -> None:
    passed, _, _ = await passers.line_up("passed", "holder", "waiter")
    await passed.signal(StandIn.pass_on)
    await passers.book.has_entered("holder")
    # It wants nothing of this gate.
    await passers.at(JOB_GATE).start("elsewhere")
    before = await passers.until(lambda view: holders(view) == ["holder"])
    await passers.kill_semaphore()
    after = await passers.until(lambda view: view.waiting == ("waiter",) and bool(view.holders))
    assert [each.token for each in after.holders] == [each.token for each in before.holders]
    assert holders(after) == ["holder"]


async def test_rebuild_reads_lost_releases_from_the_histories(jobs: Jobs) -> None:
    """One asks and one passes while there is no semaphore that could hear them.

    That one is killed then: it has left nothing behind at a gate that it had passed.
    """
    passers = jobs.at(GATE)
    async with semaphore_of(jobs.client):
        # The slot's semaphore has looked round, and takes none of these for its own.
        await jobs.until(lambda view: True)
        await jobs.change(paused=True)
        [holder] = await passers.line_up("holder")
    await passers.semaphore.terminate()
    await holder.signal(StandIn.pass_on)
    later = await passers.begin("later")
    await said(holder, RELEASED)
    await said(later, ASKED)
    await holder.terminate()
    killed = "ExecutionStatus = 'Terminated' AND WorkflowId = 'holder'"
    await eventually(lambda: jobs.client.count_workflows(killed), lambda found: found.count == 1)
    async with semaphore_of(jobs.client):
        await passers.book.has_entered("later")
        view = await passers.view()
        assert (holders(view), view.waiting) == (["later"], ())
        assert passers.book.drains == []


async def test_each_gate_has_its_own_limit_and_queue(kept: Jobs) -> None:
    image, video = kept.at("image"), kept.at("video")
    await image.line_up("holder", "waiter")
    await video.line_up("other")
    assert (await image.change(limit=2)).limit == 2
    await image.book.has_entered("waiter")
    view = await video.view()
    assert (holders(view), view.waiting, view.limit) == (["other"], (), 1)
