"""What is asked of the workflows when all is over, on a real server."""

import pytest
from temporalio import workflow
from temporalio.client import Client
from temporalio.service import RPCError
from temporalio.worker import Worker

from shared.jobs.ids import new_job_id
from shared.temporal.client import GET_RECORD_QUERY
from tests.chaos import gather
from tests.fixtures.resets import has_done_tasks

QUEUE = "nobody-else"


@workflow.defn(sandboxed=False)
class Waits:
    """Begins, and no more."""

    @workflow.run
    async def run(self) -> None:
        await workflow.wait_condition(lambda: False)


@pytest.fixture(autouse=True)
def once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gather, "QUERY_TRIES", 1)


async def test_a_run_that_was_ended_before_its_first_task_has_nothing_to_say(
    client: Client,
) -> None:
    job = await client.start_workflow(Waits.run, id=new_job_id(), task_queue=QUEUE)
    await job.terminate()
    with pytest.raises(RPCError):
        await job.query(GET_RECORD_QUERY)
    assert await gather.versions(client, [job.id]) == ({}, [])


async def test_one_that_has_begun_and_answers_nothing_is_a_violation(client: Client) -> None:
    async with Worker(client, task_queue=QUEUE, workflows=[Waits]):
        job = await client.start_workflow(Waits.run, id=new_job_id(), task_queue=QUEUE)
        await has_done_tasks(client, job.id)
    assert await gather.versions(client, [job.id]) == ({}, [f"workflow {job.id} answers no query"])
    await job.terminate()
