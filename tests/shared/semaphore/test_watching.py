"""The semaphore's watch of a run: what it signals, and how it ends."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from temporalio import workflow
from temporalio.client import Client
from temporalio.testing import ActivityEnvironment
from temporalio.worker import Worker

from shared.jobs.genvideo import GENVIDEO
from shared.jobs.slots import JOB_GATE
from shared.semaphore.activities import SemaphoreActivities
from shared.semaphore.messages import Closed, Holder, RunRef, SlotRequest
from shared.semaphore.state import Ended, SemaphoreRules, Watch
from tests.fixtures.eventually import PATIENCE_SECONDS


def watch(run: RunRef, *, gate: str = JOB_GATE, again: bool = False) -> Watch:
    now = datetime.now(UTC)
    request = SlotRequest(requested_at=now, clean_up=GENVIDEO.clean_up, **run.model_dump())
    return Watch(name=gate, holder=Holder(request=request, token=1, since=now), again=again)


async def watched(client: Client, of: Watch, *, attempt: int = 1) -> Ended:
    environment = ActivityEnvironment()
    environment.info = replace(environment.info, attempt=attempt)
    process = SemaphoreActivities(client, SemaphoreRules())
    return await environment.run(process.grant_and_watch, of)


async def a_run(client: Client) -> RunRef:
    handle = await client.start_workflow("Foreign", id=uuid4().hex, task_queue="nobody")
    return RunRef(job_id=handle.id, run_id=str(handle.first_execution_run_id))


@pytest.mark.parametrize(
    ("attempt", "again", "knew"), [(1, False, False), (2, False, True), (1, True, True)]
)
async def test_only_a_run_that_had_closed_before_any_grant_left_nothing(
    client: Client, attempt: int, again: bool, knew: bool
) -> None:
    """Another try, or an earlier watch, may have signalled its permit."""
    run = await a_run(client)
    await client.get_workflow_handle(run.job_id).terminate()
    ended = await watched(client, watch(run, again=again), attempt=attempt)
    assert ended == Ended(closed=Closed.TERMINATED, granted=knew)
    assert ended.is_clear is not knew


@workflow.defn(sandboxed=False)
class Renewed:
    """One run that continues as new, and the next one, which stays."""

    @workflow.run
    async def run(self, again: bool) -> None:
        if again:
            workflow.continue_as_new(False)
        await workflow.wait_condition(lambda: False)


async def test_a_run_that_continues_as_new_has_ended(client: Client) -> None:
    """A permit is of one run; the next one asks for its own."""
    async with Worker(client, task_queue="renewed", workflows=[Renewed]):
        handle = await client.start_workflow(
            Renewed.run, True, id=uuid4().hex, task_queue="renewed"
        )
        run = RunRef(job_id=handle.id, run_id=str(handle.first_execution_run_id))
        async with asyncio.timeout(PATIENCE_SECONDS):
            ended = await watched(client, watch(run, again=True))
        await client.get_workflow_handle(run.job_id).terminate()
    assert ended == Ended(closed=Closed.ORDERLY, granted=True)
