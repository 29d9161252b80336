"""The semaphore's process goes and comes back; the workflow doesn't notice."""

import asyncio
from contextlib import AbstractAsyncContextManager

import pytest
from temporalio.client import AsyncActivityHandle, Client, WorkflowExecutionStatus

from services.semaphore.abandoned import begin_anew
from services.semaphore.deterministic.permits import Permits
from services.semaphore.watchdog import end_refused
from services.semaphore.worker import running_semaphore
from shared.slot.messages import WITHDRAW_SIGNAL, Gate
from tests.fixtures.counted import ROUND_SECONDS, Counts, counts
from tests.fixtures.eventually import eventually
from tests.fixtures.server import Server
from tests.services.semaphore.standins import Jobs
from tests.services.semaphore.test_lasting import another_run, run_of


def semaphore_of(client: Client) -> AbstractAsyncContextManager[object]:
    return running_semaphore(client, shutdown_seconds=0)


async def test_a_holder_is_held_across_a_restart(jobs: Jobs) -> None:
    async with semaphore_of(jobs.client):
        await jobs.start("holder")
        await jobs.start("next")
        await jobs.book.has_entered("holder")
        before = await jobs.view()
    async with semaphore_of(jobs.client):
        assert await jobs.view() == before
        await jobs.finish("holder")
        await jobs.book.has_entered("next")
    assert jobs.book.most == 1


async def test_an_end_while_it_is_away_is_noticed_afterwards(jobs: Jobs) -> None:
    async with semaphore_of(jobs.client):
        await jobs.start("holder")
        await jobs.start("next")
        await jobs.book.has_entered("holder")
    await jobs.finish("holder")
    assert jobs.book.entered == ["holder"]
    async with semaphore_of(jobs.client):
        await jobs.book.has_entered("next")


async def test_two_processes_are_no_more_than_one(jobs: Jobs) -> None:
    second = await Client.connect(
        jobs.client.service_client.config.target_host,
        namespace=jobs.client.namespace,
        data_converter=jobs.client.data_converter,
    )
    async with semaphore_of(jobs.client), semaphore_of(second):
        for name in ("a", "b", "c"):
            await jobs.start(name)
        for name in ("a", "b", "c"):
            await jobs.book.has_entered(name)
            await jobs.finish(name)
    assert jobs.book.entered == ["a", "b", "c"]
    assert jobs.book.most == 1


async def test_one_that_cannot_be_replayed_fails_and_the_next_one_rebuilds(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a change of the code, or where the SDK has split a history in another way."""
    async with semaphore_of(jobs.client):
        await jobs.start("holder")
        await jobs.start("next")
        await jobs.book.has_entered("holder")
        run = await run_of(jobs)
    with monkeypatch.context() as other_code:
        other_code.setattr(Permits, "has_next", lambda _: False)
        async with semaphore_of(jobs.client):
            await jobs.semaphore.signal(WITHDRAW_SIGNAL, "nobody")
            await another_run(jobs, run)
            view = await jobs.until(lambda view: bool(view.holders))
    old = jobs.client.get_workflow_handle(jobs.semaphore.id, run_id=run)
    assert (await old.describe()).status is WorkflowExecutionStatus.FAILED
    assert [each.job_id for each in view.holders] == ["holder"]
    async with semaphore_of(jobs.client):
        await jobs.finish("holder")
        await jobs.book.has_entered("next")
    assert jobs.book.most == 1


async def test_one_whose_failure_is_refused_is_ended_and_the_next_one_rebuilds(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its end the core says yes once more to an update, which the server refuses."""
    async with semaphore_of(jobs.client):
        for name in ("holder", "next", "third"):
            await jobs.start(name)
        await jobs.book.has_entered("holder")
        run, away = await run_of(jobs), await jobs.client.get_workflow_handle("next").describe()
    # In one task: whom the first one brings on deck is told before the other one is taken.
    await jobs.semaphore.signal(WITHDRAW_SIGNAL, away.run_id)
    change = asyncio.create_task(jobs.change(limit=1))
    await run_of(jobs)
    async with semaphore_of(jobs.client):
        await change
    told = Permits.to_tell
    with monkeypatch.context() as other_code:
        other_code.setattr(
            Permits, "to_tell", lambda it: [run for run in told(it) if run.job_id != "third"]
        )
        async with semaphore_of(jobs.client):
            await jobs.semaphore.signal(WITHDRAW_SIGNAL, "nobody")
            await eventually(lambda: end_refused(jobs.client, Gate.JOB), bool)
            await another_run(jobs, run)
            view = await jobs.until(lambda view: bool(view.holders))
            assert await end_refused(jobs.client, Gate.JOB) is False
    old = jobs.client.get_workflow_handle(jobs.semaphore.id, run_id=run)
    assert (await old.describe()).status is WorkflowExecutionStatus.TERMINATED
    assert [each.job_id for each in view.holders] == ["holder"]


async def test_what_another_process_was_at_is_begun_anew(jobs: Jobs) -> None:
    """Else the watch of one that was killed would be waited for until its silence is noticed."""
    async with semaphore_of(jobs.client):
        await jobs.start("holder")
        await jobs.start("next")
        await jobs.book.has_entered("holder")
        assert await begin_anew(jobs.client) == 2
        await jobs.finish("holder")
        await jobs.book.has_entered("next")
        await jobs.finish("next")
    assert jobs.book.entered == ["holder", "next"]


async def test_a_try_that_has_just_ended_keeps_no_other_one_from_being_begun_anew(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended, real = iter(["one that the server does not know"]), Client.get_async_activity_handle

    def handle(client: Client, **which: str) -> AsyncActivityHandle:
        return real(client, **{**which, "activity_id": next(ended, which["activity_id"])})

    async with semaphore_of(jobs.client):
        await jobs.start("holder")
        await jobs.book.has_entered("holder")
        await jobs.start("next")
        await jobs.book.is_called("next")
        monkeypatch.setattr(Client, "get_async_activity_handle", handle)
        assert await begin_anew(jobs.client) == 1


async def test_where_nobody_is_watched_nothing_is_asked(
    client: Client, temporal_server: Server
) -> None:
    async def counted(request: str, times: int) -> Counts:
        return await eventually(
            lambda: counts(temporal_server.metrics_port, client.namespace),
            lambda found: found.requests[request] >= times,
            pause=ROUND_SECONDS,
        )

    async with semaphore_of(client):
        await counted("StartWorkflowExecution", 3)
        # Ten times as long as between two questions.
        await asyncio.sleep(1)
        # Once this is counted, so is all before.
        await client.count_workflows()
        found = await counted("CountWorkflowExecutions", 1)
    assert found.requests["StartWorkflowExecution"] == 3
    assert found.requests["QueryWorkflow"] == 0
