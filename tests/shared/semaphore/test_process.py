"""The semaphore's process goes and comes back; the workflow doesn't notice."""

import pytest
from temporalio.client import AsyncActivityHandle, Client, WorkflowExecutionStatus

from shared.jobs.slots import JOB_GATE
from shared.semaphore.messages import WITHDRAW_SIGNAL, semaphore_id
from shared.semaphore.state import Permits
from shared.semaphore.watchdog import STARTED, end_stale_tries
from tests.fixtures.eventually import eventually
from tests.fixtures.semaphore import holders
from tests.fixtures.temporal import ROUND_SECONDS, Counts, Server, counts
from tests.shared.semaphore.standins import Jobs, semaphore_of


async def test_holder_keeps_its_place_across_a_restart(jobs: Jobs) -> None:
    async with semaphore_of(jobs.client):
        await jobs.line_up("holder", "next")
        before = await jobs.view()
    async with semaphore_of(jobs.client):
        assert await jobs.view() == before
        await jobs.finish_all("holder", "next")
    assert jobs.book.most == 1


async def test_end_during_a_restart_is_noticed_afterwards(jobs: Jobs) -> None:
    async with semaphore_of(jobs.client):
        await jobs.line_up("holder", "next")
    await jobs.finish("holder")
    assert jobs.book.entered == ["holder"]
    async with semaphore_of(jobs.client):
        await jobs.book.has_entered("next")
    assert jobs.book.drains == []


async def test_two_processes_act_as_one(jobs: Jobs) -> None:
    second = await Client.connect(
        jobs.client.service_client.config.target_host,
        namespace=jobs.client.namespace,
        data_converter=jobs.client.data_converter,
    )
    async with semaphore_of(jobs.client), semaphore_of(second):
        for name in ("a", "b", "c"):
            await jobs.start(name)
        await jobs.finish_all("a", "b", "c")
    assert jobs.book.most == 1


async def test_failed_replay_is_ended_and_rebuilt(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a change of the code."""
    async with semaphore_of(jobs.client):
        await jobs.line_up("holder", "next")
        await jobs.change(limit=2, paused=True)
        run = await jobs.run()
    with monkeypatch.context() as other_code:
        other_code.setattr(Permits, "can_grant", lambda _: False)
        async with semaphore_of(jobs.client):
            await jobs.semaphore.signal(WITHDRAW_SIGNAL, "nobody")
            await jobs.another_run(run)
            view = await jobs.until(lambda view: bool(view.holders))
    old = jobs.client.get_workflow_handle(jobs.semaphore.id, run_id=run)
    assert (await old.describe()).status is WorkflowExecutionStatus.FAILED
    assert (holders(view), view.waiting) == (["holder"], ("next",))
    assert (view.limit, view.paused) == (2, True)
    async with semaphore_of(jobs.client):
        await jobs.change(limit=1, paused=False)
        await jobs.finish_all("holder", "next")
    assert jobs.book.most == 1


async def test_activity_of_a_dead_process_is_started_again(
    kept: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise a killed process's watch would be waited for until its heartbeat time-out.

    A try that has just ended does not keep another one from starting again.
    """
    await kept.change(limit=2)
    for name in ("a", "b", "next"):
        await kept.start(name)
    await kept.book.has_entered("a", "b")
    assert await end_stale_tries(kept.client, [kept.gate]) == 2
    ended, real = iter(["one that the server does not know"]), Client.get_async_activity_handle

    def handle(client: Client, **which: str) -> AsyncActivityHandle:
        return real(client, **{**which, "activity_id": next(ended, which["activity_id"])})

    # Until both have begun again there may be fewer.
    await eventually(lambda: _begun(kept.client), lambda count: count == 2)
    with monkeypatch.context() as patch:
        patch.setattr(Client, "get_async_activity_handle", handle)
        assert await end_stale_tries(kept.client, [kept.gate]) == 1
    await kept.finish("a")
    await kept.finish_all("b", "next")
    assert kept.book.entered[2:] == ["next"]
    assert kept.book.drains == []


async def _begun(client: Client) -> int:
    """How many of the semaphore's activities a process is at."""
    described = await client.get_workflow_handle(semaphore_id(JOB_GATE)).describe()
    return sum(each.state == STARTED for each in described.raw_description.pending_activities)


async def test_without_a_holder_nothing_is_asked(client: Client, temporal_server: Server) -> None:
    async def counted(request: str, times: int) -> Counts:
        return await eventually(
            lambda: counts(temporal_server.metrics_port, client.namespace),
            lambda found: found.requests[request] >= times,
            pause=ROUND_SECONDS,
        )

    async with semaphore_of(client, care_seconds=0.1):
        await counted("StartWorkflowExecution", 3)
        # Some rounds of the watchdog, each of which describes all three semaphores.
        found = await counted("DescribeWorkflowExecution", 20)
    assert found.requests["StartWorkflowExecution"] == 3
    assert found.requests["QueryWorkflow"] == 0
