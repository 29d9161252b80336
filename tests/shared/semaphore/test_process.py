"""The semaphore's process goes and comes back; the workflow doesn't notice."""

import pytest
from temporalio.client import Client, WorkflowExecutionStatus

from shared.semaphore.messages import WITHDRAW_SIGNAL
from shared.semaphore.state import Permits
from shared.semaphore.watchdog import end_stale_tries
from tests.fixtures.semaphore import holders
from tests.shared.semaphore.standins import Jobs, semaphore_of


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


async def test_activities_of_a_dead_process_are_started_again(kept: Jobs) -> None:
    """Otherwise a killed process's watch would be waited for until its heartbeat time-out."""
    await kept.change(limit=2)
    for name in ("a", "b", "next"):
        await kept.start(name)
    await kept.book.has_entered("a", "b")
    assert await end_stale_tries(kept.client, [kept.gate]) == 2
    await kept.finish("a")
    await kept.finish_all("b", "next")
    assert kept.book.drains == []
