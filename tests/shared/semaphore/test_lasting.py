"""What outlives a run of the semaphore, its process, and itself: holders, queue, tokens."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowFailureError
from temporalio.common import RawValue, RetryPolicy, WorkflowIDConflictPolicy

from shared.semaphore import rebuild
from shared.semaphore.messages import (
    REQUEST_SIGNAL,
    SEMAPHORE_QUEUE,
    SEMAPHORE_WORKFLOW,
    WITHDRAW_SIGNAL,
    Closed,
    OpenRun,
)
from shared.semaphore.state import Permits, SemaphoreRules, SemaphoreState
from shared.semaphore.watchdog import end_stale_tries
from tests.fixtures.eventually import eventually
from tests.fixtures.semaphore import holders, watches
from tests.fixtures.temporal import delete, reset, running_server
from tests.shared.semaphore.standins import Book, Jobs, open_run, semaphore_of

UNREADABLE = RawValue(Payload(metadata={"encoding": b"json/plain"}, data=b"{"))


async def delete_run(jobs: Jobs, run: str) -> None:
    """Delete a run of the semaphore, and return when the server has forgotten it."""
    await delete(jobs.client, jobs.semaphore.id, run_id=run)

    async def listed() -> bool:
        found = jobs.client.list_workflows(f"WorkflowId = '{jobs.semaphore.id}'")
        return run in [each.run_id async for each in found]

    await eventually(listed, lambda there: not there)


async def turn_over(jobs: Jobs) -> str:
    """Have the semaphore continue as new by requests that count once; its new run."""
    run = await jobs.run()
    known = (await jobs.view()).holders[0]
    handle = jobs.client.get_workflow_handle(known.job_id, run_id=known.run_id)
    request = await jobs.request_of(handle)
    while await jobs.run() == run:
        await jobs.ask(request)
    return await jobs.run()


class TestContinueAsNew:
    """With a history bound so low that each few grants begin a new run."""

    @pytest.fixture
    def rules(self) -> SemaphoreRules:
        return SemaphoreRules(max_history=30)

    async def test_no_request_is_lost_or_doubled(self, kept: Jobs) -> None:
        """Requests and ends come while it turns over."""
        names, runs = [f"job-{n:02}" for n in range(14)], set()

        async def live(name: str) -> None:
            await kept.book.has_entered(name)
            runs.add(await kept.run())
            await kept.finish(name)

        lives = asyncio.gather(*map(live, names))
        for name in names:
            await kept.start(name)
        await lives
        assert kept.book.entered == names
        assert kept.book.most == 1
        assert kept.book.tokens_grow
        assert len(runs) >= 4
        await kept.until(lambda view: not view.holders and not view.waiting)

    async def test_drain_continues(self, kept: Jobs) -> None:
        holder, _ = await kept.line_up("holder", "next")
        await holder.terminate()
        await kept.book.has_drained("holder")
        await turn_over(kept)
        await kept.book.has_drained("holder", "holder")
        view = await kept.view()
        assert [(each.job_id, each.draining) for each in view.holders] == [("holder", True)]
        assert kept.book.entered == ["holder"]
        # It starts again, and need not wait as long a second time.
        assert {each.since for each in kept.book.drains} == {view.holders[0].drains_since}
        kept.book.vendors_clear.set()
        await kept.book.has_entered("next")

    async def test_holder_limit_and_pause_outlive_continue_as_new_and_termination(
        self, kept: Jobs
    ) -> None:
        await kept.line_up("holder", "next")
        before = await kept.change(limit=4, paused=True)
        await turn_over(kept)
        assert await kept.view() == before
        found = await eventually(lambda: watches(kept.client), bool)
        assert [each.run.job_id for each in found] == ["holder"]
        await kept.kill_semaphore()
        view = await kept.until(lambda view: bool(view.holders))
        assert (view.limit, view.paused) == (4, True)
        await kept.change(paused=False)
        await kept.finish_all("holder", "next")
        assert kept.book.drains == []


async def start_from(kept: Jobs, state: SemaphoreState, **options: Any) -> None:
    """Start the semaphore by hand with the input of some earlier run."""
    await kept.client.start_workflow(
        SEMAPHORE_WORKFLOW,
        state,
        id=kept.semaphore.id,
        task_queue=SEMAPHORE_QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.TERMINATE_EXISTING,
        **options,
    )


class TestEnded:
    """The semaphore is ended by hand and comes back."""

    @pytest.mark.parametrize("how", ["terminated", "deleted", "started again"])
    async def test_rebuild_adopts_holders_and_queue_in_order(self, kept: Jobs, how: str) -> None:
        await kept.change(limit=2)
        await kept.line_up("first", "second", "c", "a", "b")
        await kept.book.has_entered("second")
        await kept.start("urgent", priority=1)
        before = await kept.view()
        run = await kept.run()
        match how:
            case "terminated":
                await kept.semaphore.terminate()
            case "deleted":
                await delete_run(kept, run)
            case _:
                await start_from(kept, SemaphoreState())
        await kept.another_run(run)
        after = await kept.until(lambda view: bool(view.holders))
        old, new = ({each.job_id: each.token for each in view.holders} for view in (before, after))
        assert old == new
        assert before.waiting == after.waiting == ("urgent", "c", "a", "b")
        # The history of a deleted one, and its settings with it, is gone.
        assert after.limit == (1 if how == "deleted" else 2)
        await kept.change(limit=1)
        for name in ("second", "first"):
            await kept.finish(name)
        await kept.finish_all(*after.waiting)
        assert kept.book.most == 2
        assert kept.book.tokens_grow

    @pytest.mark.parametrize(
        "repeated", [{"retry_policy": RetryPolicy()}, {"cron_schedule": "@every 1s"}]
    )
    async def test_run_that_the_server_repeats_rebuilds(
        self, kept: Jobs, repeated: dict[str, object]
    ) -> None:
        """The server gives it the first input of the run before, which knows no holder."""
        await kept.line_up("holder", "next")
        await start_from(kept, SemaphoreState(), run_timeout=timedelta(seconds=2), **repeated)
        await kept.another_run(await kept.run())
        view = await kept.until(lambda view: not view.rebuilding)
        assert (holders(view), view.waiting) == (["holder"], ("next",))
        await kept.kill_semaphore()
        await kept.finish_all("holder", "next")
        assert kept.book.most == 1

    async def test_id_without_prefix_is_no_second_semaphore(self, kept: Jobs) -> None:
        """It would find the same runs, and grant them other places."""
        await kept.line_up("holder", "next")
        second = await kept.client.start_workflow(
            SEMAPHORE_WORKFLOW, id=kept.gate, task_queue=SEMAPHORE_QUEUE
        )
        with pytest.raises(WorkflowFailureError):
            await second.result()
        await kept.finish_all("holder", "next")

    @pytest.mark.parametrize("how", ["terminated", "deleted"])
    async def test_tokens_grow_without_any_holder(self, kept: Jobs, how: str) -> None:
        await kept.line_up("first")
        await kept.finish_all("first")
        await kept.until(lambda view: not view.holders)
        run = await kept.run()
        if how == "deleted":
            await delete_run(kept, run)
        else:
            await kept.semaphore.terminate()
        await kept.another_run(run)
        await kept.line_up("second")
        assert kept.book.tokens_grow
        await kept.finish_all("second")

    async def test_nothing_is_granted_before_the_rebuild_and_a_change_counts(
        self, kept: Jobs, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(rebuild, "LISTING_PAUSE_SECONDS", 0.5)
        await kept.line_up("holder")
        await kept.change(limit=2, paused=True)
        await kept.kill_semaphore()
        seen = await kept.view()
        assert (seen.rebuilding, seen.limit, seen.holders) == (True, 1, ())
        handle = await kept.begin("newcomer")
        for _ in range(3):
            await kept.ask(await kept.request_of(handle))
        # No list of marked runs has this one; only its request shows it.
        await kept.ask(await kept.request_of(await kept.foreign("unlisted")))
        view = await kept.change(limit=1)
        assert (view.rebuilding, view.limit, view.paused) == (False, 1, True)
        assert (holders(view), view.waiting) == (["holder"], ("newcomer", "unlisted"))
        assert kept.book.entered == ["holder"]
        await kept.change(paused=False)
        await kept.finish_all("holder", "newcomer")

    async def test_holder_and_semaphore_killed_together(self, kept: Jobs) -> None:
        holder, _ = await kept.line_up("holder", "next")
        await kept.semaphore.terminate()
        await holder.terminate()
        await kept.book.has_drained("holder")
        view = await kept.until(lambda view: view.waiting == ("next",))
        assert holders(view) == ["holder"]
        assert kept.book.entered == ["holder"]
        kept.book.vendors_clear.set()
        await kept.book.has_entered("next")
        assert kept.book.most == 1

    async def test_rebuild_drains_before_it_grants(
        self, kept: Jobs, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Also if it is ended again while it rebuilds."""
        monkeypatch.setattr(rebuild, "LISTING_PAUSE_SECONDS", 0.3)
        holder, _ = await kept.line_up("holder", "next")
        await holder.terminate()
        await kept.book.has_drained("holder")
        await kept.kill_semaphore()
        await kept.kill_semaphore()
        await kept.book.has_drained("holder", "holder")
        assert kept.book.entered == ["holder"]
        kept.book.vendors_clear.set()
        await kept.book.has_entered("next")
        assert kept.book.most == 1


class TestReset:
    """A run that was reset believes what is out of date: it ends, and the next rebuilds."""

    @pytest.mark.parametrize("back_to", ["first", "last"])
    async def test_there_are_never_two_holders(self, kept: Jobs, back_to: str) -> None:
        await kept.line_up("first", "second", "third")
        await kept.finish("first")
        await kept.book.has_entered("second")
        before = await kept.view()
        run = await reset(kept.client, kept.semaphore.id, back_to=back_to)
        await kept.another_run(run)
        after = await kept.until(lambda view: bool(view.holders))
        assert [each.token for each in after.holders] == [each.token for each in before.holders]
        assert (holders(after), after.waiting) == (["second"], ("third",))
        ended = await kept.client.get_workflow_handle(kept.semaphore.id, run_id=run).describe()
        assert ended.status is WorkflowExecutionStatus.FAILED
        await kept.finish_all("second", "third")
        assert kept.book.most == 1
        assert kept.book.tokens_grow

    async def test_drain_known_to_a_terminated_semaphore_is_repeated(self, kept: Jobs) -> None:
        holder, _ = await kept.line_up("holder", "next")
        await holder.terminate()
        await kept.book.has_drained("holder")
        await kept.change(paused=True)
        await kept.another_run(await reset(kept.client, kept.semaphore.id, back_to="last"))
        await kept.book.has_drained("holder", "holder")
        assert kept.book.entered == ["holder"]
        assert (await kept.change(limit=1)).paused
        await kept.change(paused=False)
        kept.book.vendors_clear.set()
        await kept.book.has_entered("next")


class TestOpenRecords:
    """Temporal remembers no semaphore: what the records call open is drained before any grant."""

    async def test_job_unknown_to_temporal_is_drained_first(self, jobs: Jobs) -> None:
        lost = jobs.book.open = (open_run("lost-1"), open_run("lost-2"))
        async with semaphore_of(jobs.client):
            await jobs.start("next")
            await jobs.book.has_drained("lost-1", "lost-2")
            assert {each.closed for each in jobs.book.drains} == {Closed.UNKNOWN}
            assert {each.run_id for each in jobs.book.drains} == {each.run_id for each in lost}
            assert jobs.book.entered == []
            jobs.book.vendors_clear.set()
            await jobs.book.has_entered("next")
            await jobs.kill_semaphore()
            view = await jobs.until(lambda view: bool(view.holders))
        assert holders(view) == ["next"]
        # Each gate without history asks as well.
        assert jobs.book.asked_records.count(jobs.semaphore.id) == 1
        assert sorted(jobs.book.drained_jobs) == ["lost-1", "lost-2"]

    async def test_run_deleted_with_the_semaphore_that_knew_it_is_drained_again(
        self, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """An earlier semaphore remains, which never knew it."""
        monkeypatch.setattr(rebuild, "GAP", timedelta())
        async with semaphore_of(jobs.client):
            await jobs.until(lambda view: True)
            await jobs.change(paused=False)
            await jobs.kill_semaphore()
            holder, _ = await jobs.line_up("holder", "next")
            run_id = str(holder.first_execution_run_id)
            jobs.book.open = (OpenRun(pipeline="genvideo", job_id="holder", run_id=run_id),)
            await delete(jobs.client, "holder")
            await jobs.book.has_drained("holder")
            await delete_run(jobs, await jobs.run())
            await jobs.book.has_drained("holder", "holder")
            assert jobs.book.entered == ["holder"]
            jobs.book.vendors_clear.set()
            await jobs.book.has_entered("next")

    @pytest.mark.parametrize("while_it", ["asks", "drains"])
    async def test_semaphore_terminated_before_the_drains_forgets_none(
        self, jobs: Jobs, while_it: str
    ) -> None:
        jobs.book.open = (open_run("lost"),)
        if while_it == "asks":
            jobs.book.records_readable.clear()
        async with semaphore_of(jobs.client):
            await jobs.book.until(lambda: jobs.semaphore.id in jobs.book.asked_records)
            if while_it == "drains":
                await jobs.book.has_drained("lost")
            await jobs.kill_semaphore()
            jobs.book.records_readable.set()
            await jobs.start("next")
            await jobs.book.has_drained(*["lost"] * (2 if while_it == "drains" else 1))
            assert jobs.book.entered == []
            jobs.book.vendors_clear.set()
            await jobs.book.has_entered("next")


@pytest.mark.parametrize("name", [REQUEST_SIGNAL, "unknown"])
async def test_signals_that_call_nothing_end_a_run(name: str) -> None:
    """The server refuses each signal after the last one that it takes, requests as well."""
    limits = ("limit.historyCount.suggestContinueAsNew=40", "history.maximumSignalsPerExecution=99")
    values = [f"--dynamic-config-value={each}" for each in limits]
    with running_server("--headless", *values) as server:
        jobs = Jobs(await server.client(), Book())
        async with jobs.worker(), semaphore_of(jobs.client):
            await jobs.until(lambda view: not view.rebuilding)
            run = await jobs.run()
            for _ in range(30):
                await jobs.semaphore.signal(name, UNREADABLE)
            await jobs.another_run(run)
            await jobs.line_up("job")


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
