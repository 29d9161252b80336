"""What an operator does reaches what it is meant for, on a real server."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from temporalio import activity, workflow
from temporalio.client import Client, WorkflowHandle
from temporalio.exceptions import ActivityError
from temporalio.service import RPCError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from services.semaphore.worker import running_semaphore
from services.worker.models import GEN_IMAGE
from shared.jobs.ids import new_job_id
from shared.jobs.messages import JobInput
from shared.temporal.client import GENVIDEO_QUEUE, GENVIDEO_WORKFLOW
from tests.chaos import operators
from tests.fixtures.eventually import eventually
from tests.fixtures.semaphore_view import semaphore_view

JOB = JobInput(prompt="p", style="")
MINUTE, BEAT = timedelta(minutes=1), timedelta(seconds=1)


@activity.defn(name=GEN_IMAGE)
async def gen_image() -> list[Any]:
    """Waits until it is stopped; the next try tells what it has heard of the one before."""
    info = activity.info()
    if info.current_attempt_scheduled_time != info.scheduled_time:
        return list(info.heartbeat_details)
    while True:
        activity.heartbeat("told")
        await asyncio.sleep(0.05)


@workflow.defn(name=GENVIDEO_WORKFLOW)
class OneActivity:
    @workflow.run
    async def run(self, job: JobInput) -> object:
        try:
            return await workflow.execute_activity(
                GEN_IMAGE, start_to_close_timeout=MINUTE, heartbeat_timeout=BEAT
            )
        except ActivityError as error:
            return str(error.cause)


@pytest.fixture
async def job(client: Client) -> AsyncIterator[WorkflowHandle[Any, Any]]:
    """A job whose only activity is at work."""
    async with Worker(
        client,
        task_queue=GENVIDEO_QUEUE,
        workflows=[OneActivity],
        activities=[gen_image],
        workflow_runner=UnsandboxedWorkflowRunner(),
        max_heartbeat_throttle_interval=timedelta(milliseconds=50),
    ):
        handle = await client.start_workflow(
            GENVIDEO_WORKFLOW, JOB, id=new_job_id(), task_queue=GENVIDEO_QUEUE
        )

        async def beats() -> bool:
            pending = (await handle.describe()).raw_description.pending_activities
            return bool(pending and pending[0].HasField("heartbeat_details"))

        await eventually(beats, bool)
        yield handle


@pytest.mark.parametrize(("heartbeats", "heard"), [(True, ["told"]), (False, [])])
async def test_an_activity_is_reset_with_its_heartbeats_or_without(
    client: Client, job: WorkflowHandle[Any, Any], *, heartbeats: bool, heard: list[str]
) -> None:
    assert await operators.reset_activity(client, job.id, heartbeats=heartbeats)
    assert await job.result() == heard


async def test_an_activity_is_failed_for_good(
    client: Client, job: WorkflowHandle[Any, Any]
) -> None:
    assert not await operators.fail_activity(client, job.id, operators.SEMAPHORES)
    assert await operators.fail_activity(client, job.id, operators.STAGES)
    assert await job.result() == "chaos"
    assert not await operators.fail_activity(client, job.id, operators.STAGES)


async def test_an_activity_is_completed_with_garbage(
    client: Client, job: WorkflowHandle[Any, Any]
) -> None:
    assert await operators.complete_activity(client, job.id, operators.STAGES)
    assert await job.result() == operators.GARBAGE


async def test_a_paused_activity_goes_on_when_it_may(
    client: Client, job: WorkflowHandle[Any, Any]
) -> None:
    assert await operators.pause_activity(client, job.id, 0.3)
    pending = (await job.describe()).raw_description.pending_activities
    assert [each.paused for each in pending] in ([], [False])


async def test_an_id_is_started_again_and_its_history_deleted(
    client: Client, job: WorkflowHandle[Any, Any]
) -> None:
    await job.terminate()
    assert await operators.start_again(client, job.id)
    assert (await job.describe()).run_id != job.result_run_id
    assert await operators.delete(client, job.id)

    async def is_gone() -> bool:
        try:
            described = await client.get_workflow_handle(job.id).describe()
        except RPCError:
            return True
        return described.run_id == job.result_run_id

    await eventually(is_gone, bool)


async def test_poison_reaches_the_semaphore_and_does_nothing(client: Client) -> None:
    async with running_semaphore(client):
        await eventually(lambda: semaphore_view(client), bool)
        assert await operators.poison(client)
        view = await eventually(lambda: semaphore_view(client), bool)

    assert view is not None
    assert (view.holders, view.waiting) == ((), ())
