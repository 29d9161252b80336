"""A stage's gate: held from the grant until it is given back, and never for longer than the run."""

import pytest
from temporalio.api.enums.v1 import EventType

from shared.semaphore.messages import RELEASE_SIGNAL
from tests.fixtures.eventually import eventually
from tests.fixtures.semaphore import drains, holders
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
