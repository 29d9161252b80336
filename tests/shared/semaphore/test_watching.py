"""The semaphore's watch of a run: what it signals, and how it ends."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from temporalio import workflow
from temporalio.api.common.v1 import Payload
from temporalio.api.workflowservice.v1 import PauseWorkflowExecutionRequest
from temporalio.client import Client
from temporalio.common import RawValue, RetryPolicy
from temporalio.testing import ActivityEnvironment
from temporalio.worker import Worker

from shared.jobs.genvideo import GENVIDEO
from shared.jobs.slots import JOB_GATE
from shared.semaphore.activities import SemaphoreActivities
from shared.semaphore.messages import (
    Closed,
    Holder,
    Permit,
    RunRef,
    SlotRequest,
    granted_signal,
)
from shared.semaphore.server import UNREACHABLE
from shared.semaphore.state import Ended, SemaphoreRules, Watch
from tests.fixtures.eventually import PATIENCE_SECONDS, eventually
from tests.fixtures.temporal import counts, running_server

MOST_SIGNALS = "history.maximumSignalsPerExecution"


def permit(run: RunRef) -> Permit:
    return Permit(name=JOB_GATE, token=1, **run.model_dump())


async def watched(client: Client, run: RunRef) -> Ended:
    now = datetime.now(UTC)
    request = SlotRequest(requested_at=now, clean_up=GENVIDEO.clean_up, **run.model_dump())
    watch = Watch(name=JOB_GATE, holder=Holder(request=request, token=1, since=now))
    process = SemaphoreActivities(client, SemaphoreRules())
    return await ActivityEnvironment().run(process.grant_and_watch, watch)


async def a_run(client: Client, **options: Any) -> RunRef:
    handle = await client.start_workflow("Foreign", id=uuid4().hex, task_queue="nobody", **options)
    return RunRef(job_id=handle.id, run_id=str(handle.first_execution_run_id))


@pytest.mark.parametrize(
    ("had", "grace"), [("no permit", 0), ("a permit", None), ("another's permit", 0)]
)
async def test_run_closed_before_any_grant_left_nothing(
    client: Client, had: str, grace: float | None
) -> None:
    """An earlier watch may have signalled its permit."""
    run = await a_run(client)
    handle = client.get_workflow_handle(run.job_id)
    if had != "no permit":
        signal = granted_signal(JOB_GATE if had == "a permit" else "another")
        await handle.signal(signal, permit(run))
    await handle.terminate()
    assert await watched(client, run) == Ended(closed=Closed.TERMINATED, grace=grace)


@pytest.mark.parametrize(
    "followed", [{"retry_policy": RetryPolicy()}, {"cron_schedule": "@every 1s"}]
)
async def test_run_that_timed_out_is_drained_if_the_server_starts_another(
    client: Client, followed: dict[str, object]
) -> None:
    """The server reports it to a watch as continued as new."""
    run = await a_run(client, run_timeout=timedelta(seconds=1), **followed)
    async with asyncio.timeout(PATIENCE_SECONDS):
        assert await watched(client, run) == Ended(closed=Closed.TIMED_OUT, grace=None)
    await client.get_workflow_handle(run.job_id).terminate()


@pytest.mark.parametrize("had_permit", [False, True])
async def test_run_that_takes_no_more_signals_is_ended_unless_it_has_its_permit(
    had_permit: bool,
) -> None:
    """It would hold its place for ever, and never know."""
    with running_server("--headless", f"--dynamic-config-value={MOST_SIGNALS}=2") as server:
        client = await server.client()
        run = await a_run(client)
        handle = client.get_workflow_handle(run.job_id)
        sent = [granted_signal(JOB_GATE) if had_permit else "other", "other"]
        for signal in sent:
            await handle.signal(signal, permit(run))
        watching = asyncio.create_task(watched(client, run))
        if had_permit:
            await eventually(
                lambda: counts(server.metrics_port, client.namespace),
                lambda found: found.requests["PollWorkflowExecutionHistory"] > 0,
            )
            await handle.terminate(reason="test")
        async with asyncio.timeout(PATIENCE_SECONDS):
            ended = await watching
        last = (await handle.fetch_history()).events[-1]
        reason = last.workflow_execution_terminated_event_attributes.reason
        assert reason == ("test" if had_permit else UNREACHABLE)
    assert ended == Ended(closed=Closed.TERMINATED, grace=None if had_permit else 0)


async def test_paused_run_is_watched_on() -> None:
    """The server answers the poll for its end at once."""
    allowed = "--dynamic-config-value=frontend.WorkflowPauseEnabled=true"
    with running_server("--headless", allowed) as server:
        client = await server.client()
        run = await a_run(client)
        watching = asyncio.create_task(watched(client, run))

        async def polls(more_than: int) -> int:
            found = await eventually(
                lambda: counts(server.metrics_port, client.namespace),
                lambda found: found.requests["PollWorkflowExecutionHistory"] > more_than,
            )
            return found.requests["PollWorkflowExecutionHistory"]

        begun = await polls(0)
        await client.workflow_service.pause_workflow_execution(
            PauseWorkflowExecutionRequest(
                namespace=client.namespace, workflow_id=run.job_id, run_id=run.run_id
            )
        )
        await polls(begun)
        await client.get_workflow_handle(run.job_id).terminate()
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert await watching == Ended(closed=Closed.TERMINATED, grace=None)


@workflow.defn(sandboxed=False)
class Renewed:
    """One run that continues as new, and the next one, which stays."""

    @workflow.run
    async def run(self, again: bool) -> None:
        if again:
            workflow.continue_as_new(False)
        await workflow.wait_condition(lambda: False)


async def test_run_that_continues_as_new_has_ended(client: Client) -> None:
    """A permit is of one run; the next one asks for its own."""
    async with Worker(client, task_queue="renewed", workflows=[Renewed]):
        handle = await client.start_workflow(
            Renewed.run, True, id=uuid4().hex, task_queue="renewed"
        )
        run = RunRef(job_id=handle.id, run_id=str(handle.first_execution_run_id))
        async with asyncio.timeout(PATIENCE_SECONDS):
            ended = await watched(client, run)
        await client.get_workflow_handle(run.job_id).terminate()
    assert ended == Ended(closed=Closed.ORDERLY, grace=0)


@workflow.defn(sandboxed=False)
class Unreadable:
    """It returns what this client's converter refuses, such as what has another key."""

    @workflow.run
    async def run(self) -> RawValue:
        return RawValue(Payload(metadata={"encoding": b"binary/encrypted"}, data=b"x"))


async def test_run_with_an_unreadable_result_has_ended(client: Client) -> None:
    async with Worker(client, task_queue="unreadable", workflows=[Unreadable]):
        handle = await client.start_workflow(
            Unreadable.run, id=uuid4().hex, task_queue="unreadable"
        )
        run = RunRef(job_id=handle.id, run_id=str(handle.first_execution_run_id))
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert await watched(client, run) == Ended(closed=Closed.ORDERLY, grace=0)
