"""The care for the semaphores: forgotten jobs are heard of, code that fails for good is ended."""

import asyncio
from collections.abc import Iterator
from datetime import timedelta
from uuid import uuid4

import pytest
from temporalio import workflow
from temporalio.client import (
    Client,
    WorkflowExecution,
    WorkflowExecutionStatus,
    WorkflowHandle,
    WorkflowQueryFailedError,
)
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import Worker

from shared.jobs.slots import JOB_GATE
from shared.semaphore.client import state_of
from shared.semaphore.messages import SEMAPHORE_QUEUE, SEMAPHORE_WORKFLOW, WITHDRAW_SIGNAL
from shared.semaphore.rebuild import OPEN, read_run
from shared.semaphore.state import MEMO_SETTINGS, SemaphoreRules
from shared.semaphore.watchdog import FAILING_ROUNDS, FAILS, STANDS, Watchdog, is_failing, remind
from tests.fixtures.eventually import eventually
from tests.fixtures.semaphore import holders
from tests.fixtures.temporal import Server, answers, delete, has_done_tasks, running_server
from tests.shared.semaphore.standins import Jobs, semaphore_of

QUEUE = "fails"
NEWEST_LIMIT = 3
# A task that has failed once is tried again when this is over: the SDK tells no second failure.
TASK_TIMEOUT = timedelta(seconds=1)
# By default each further try is given seconds more.
SOON = '--dynamic-config-value=history.workflowTaskRetryMaxInterval="10ms"'
Handle = WorkflowHandle["Fails", None]


@pytest.fixture(scope="module")
def temporal_server() -> Iterator[Server]:
    with running_server("--headless", SOON) as server:
        asyncio.run(answers(server))
        yield server


@workflow.defn(sandboxed=False)
class Fails:
    """A release whose code fails at a word."""

    broken = False

    @workflow.run
    async def run(self) -> None:
        await workflow.wait_condition(lambda: self.broken)
        raise RuntimeError("broken")

    @workflow.signal
    def break_down(self) -> None:
        self.broken = True


@workflow.defn(name=SEMAPHORE_WORKFLOW, sandboxed=False)
class FailingSemaphore:
    """A release of the semaphore whose first task is good, and no later one."""

    @workflow.run
    async def run(self) -> None:
        workflow.upsert_memo({MEMO_SETTINGS: {"limit": NEWEST_LIMIT}})
        await workflow.sleep(0.01)
        raise RuntimeError("broken")


async def failing(client: Client, workflow_id: str = "failing") -> Handle:
    return await client.start_workflow(
        Fails.run, id=workflow_id, task_queue=QUEUE, task_timeout=TASK_TIMEOUT
    )


async def fails(handle: Handle) -> bool:
    return is_failing(await handle.describe())


class TestRemind:
    async def test_unknown_open_job_is_requested(self, kept: Jobs) -> None:
        _, second, _ = await kept.line_up("first", "second", "third")
        await kept.start("urgent", priority=1)
        await kept.semaphore.signal(WITHDRAW_SIGNAL, second.first_execution_run_id)
        assert (await kept.view()).waiting == ("urgent", "third")
        unasked = await kept.begin("unasked")

        async def reminded() -> tuple[str, ...]:
            """The list may lack the newest one at first."""
            assert await remind(kept.client) == {"job"}
            return (await kept.view()).waiting

        await eventually(reminded, lambda waiting: unasked.id in waiting)
        assert (await kept.view()).waiting == ("urgent", "second", "third", unasked.id)

    async def test_waiters_that_are_no_open_runs_are_withdrawn(self, kept: Jobs) -> None:
        """A deleted one would be drained before the next one is granted."""
        await kept.line_up("holder", "deleted", "next", "killed")
        unknown = await kept.request_of(await kept.begin("unknown"), priority=1)
        await kept.ask(unknown.model_copy(update={"run_id": str(uuid4())}))
        await kept.client.get_workflow_handle("killed").terminate()
        await delete(kept.client, "deleted")

        async def reminded() -> tuple[str, ...]:
            """The list may have a run that has just closed, and lack the newest one."""
            await remind(kept.client)
            return (await kept.view()).waiting

        await eventually(reminded, lambda waiting: waiting == ("next", "unknown"))
        assert holders(await kept.view()) == ["holder"]
        assert kept.book.drains == []

    async def test_run_that_has_closed_since_it_was_listed_is_not_requested(
        self, kept: Jobs
    ) -> None:
        """It would wait, and be granted the slot, without an end that withdraws it."""
        await kept.line_up("ends", "next")

        async def listed() -> list[WorkflowExecution]:
            return [each async for each in kept.client.list_workflows(OPEN) if each.id == "ends"]

        [run] = await eventually(listed)
        assert (seen := await read_run(kept.client, run, name=JOB_GATE))
        assert seen.open
        await kept.finish("ends")
        assert (seen := await read_run(kept.client, run, name=JOB_GATE))
        assert not seen.open


class TestFailing:
    @pytest.mark.parametrize("signals_come", [False, True])
    async def test_many_failures_in_a_row_are_reported(
        self, client: Client, signals_come: bool
    ) -> None:
        """With each signal the server counts the task's tries from 1 again."""
        async with Worker(client, task_queue=QUEUE, workflows=[Fails]):
            handle = await failing(client)
            await has_done_tasks(client, handle.id)
            assert not await fails(handle)
            await handle.signal(Fails.break_down)

            async def look() -> bool:
                if signals_come:
                    await handle.signal(Fails.break_down)
                return await fails(handle)

            await eventually(look, bool)
            await handle.terminate()

    async def test_run_without_a_polling_worker_does_not_fail(self, client: Client) -> None:
        handle = await failing(client)
        await handle.signal(Fails.break_down)
        pending = (await handle.describe()).raw_description
        assert pending.HasField("pending_workflow_task")
        assert not await fails(handle)


async def test_holder_with_failing_code_is_ended_and_drained(kept: Jobs) -> None:
    async with Worker(kept.client, task_queue=QUEUE, workflows=[Fails]):
        holder = await failing(kept.client)
        await kept.ask(await kept.request_of(holder))
        await kept.until(lambda view: holders(view) == [holder.id])
        await kept.start("next")
        watchdog = Watchdog(kept.client, SemaphoreRules(ends_failing=True))

        async def cared() -> bool:
            await watchdog.end_failing(JOB_GATE)
            return (await holder.describe()).status is WorkflowExecutionStatus.RUNNING

        assert await cared()
        await holder.signal(Fails.break_down)
        await eventually(lambda: fails(holder), bool)
        assert [await cared() for _ in range(FAILING_ROUNDS)] == [True, True, False]
        assert not await fails(holder)
    await kept.book.has_drained(holder.id)
    assert kept.book.entered == []
    kept.book.vendors_clear.set()
    await kept.book.has_entered("next")
    last = (await holder.fetch_history()).events[-1]
    assert last.workflow_execution_terminated_event_attributes.reason == FAILS
    await watchdog.end_failing(JOB_GATE)
    assert watchdog.failing == {JOB_GATE: {}}


async def test_stuck_semaphore_is_ended_and_rebuilt(jobs: Jobs) -> None:
    """Somebody started it with what it cannot read; with each request it tries again."""
    job = await jobs.begin("job")
    await jobs.client.start_workflow(
        SEMAPHORE_WORKFLOW,
        {"holders": 7},
        id=jobs.semaphore.id,
        task_queue=SEMAPHORE_QUEUE,
        task_timeout=TASK_TIMEOUT,
    )
    run = await jobs.run()

    async def another() -> str:
        await jobs.ask(await jobs.request_of(job))
        return await jobs.run()

    async with semaphore_of(jobs.client, care_seconds=0.5):
        await eventually(another, lambda latest: latest not in ("", run))
        await jobs.book.has_entered("job")
    standing = jobs.client.get_workflow_handle(jobs.semaphore.id, run_id=run)
    last = (await standing.fetch_history()).events[-1]
    assert last.workflow_execution_terminated_event_attributes.reason == STANDS


async def test_limit_outlives_a_semaphore_whose_tasks_fail(jobs: Jobs) -> None:
    """Its state can't be queried; an older run's can, and has an older limit."""
    async with semaphore_of(jobs.client):
        await jobs.until(lambda view: not view.rebuilding)
        await jobs.change(limit=NEWEST_LIMIT + 1)
    await jobs.semaphore.terminate()
    async with Worker(jobs.client, task_queue=SEMAPHORE_QUEUE, workflows=[FailingSemaphore]):
        await jobs.client.start_workflow(
            SEMAPHORE_WORKFLOW,
            id=jobs.semaphore.id,
            task_queue=SEMAPHORE_QUEUE,
            task_timeout=TASK_TIMEOUT,
        )

        async def refusal() -> RPCStatusCode | None:
            with pytest.raises((RPCError, WorkflowQueryFailedError)) as refused:
                await state_of(jobs.client, jobs.gate)
            return getattr(refused.value, "status", None)

        await eventually(refusal, lambda status: status is RPCStatusCode.FAILED_PRECONDITION)
        await jobs.semaphore.terminate()
    async with semaphore_of(jobs.client):
        view = await jobs.until(lambda view: not view.rebuilding)
    assert view.limit == NEWEST_LIMIT
