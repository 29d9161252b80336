"""What a query shows ahead of its task, as in a replay."""

import asyncio
from functools import partial
from pathlib import Path

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import Replayer, Worker

from shared.jobs.genvideo import GENVIDEO
from shared.semaphore.messages import SEMAPHORE_QUEUE
from shared.semaphore.runner import WorkflowRunner
from shared.semaphore.worker import MAX_WORKFLOW_TASKS
from tests.fixtures.eventually import eventually
from tests.fixtures.temporal import NewClient
from tests.shared.temporal.line import SOON, Line, work
from tests.workflow.pipeline import working

QUEUE = "lines"
# Which of two tasks for one run the server hands out first is left to chance.
RUNS = 12
TIMED_OUT = EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT


def worker(client: Client) -> Worker:
    runner = WorkflowRunner()
    made = Worker(
        client,
        task_queue=QUEUE,
        workflows=[Line],
        activities=[work],
        workflow_runner=runner,
        max_concurrent_workflow_tasks=MAX_WORKFLOW_TASKS,
    )
    runner.serve(made)
    return made


async def another(client: Client) -> Client:
    return await Client.connect(
        client.service_client.config.target_host, namespace=client.namespace
    )


async def has_begun(line: WorkflowHandle[Line, None]) -> bool:
    pending = (await line.describe()).raw_description.pending_activities
    return any(each.HasField("last_started_time") for each in pending)


@pytest.mark.parametrize("questions", [1, 3])
async def test_early_query_changes_no_order(new_client: NewClient, questions: int) -> None:
    """Nor is the task lost, or another query, where several wait while the run is forgotten."""
    client = await new_client()
    async with worker(client):
        lines = [
            await client.start_workflow(Line.run, id=f"line-{each}", task_queue=QUEUE)
            for each in range(RUNS)
        ]
        for line in lines:
            await eventually(partial(has_begun, line), bool)
    # Nobody polls: first the query waits for a worker, then the task with the end and the update.
    queries = [
        asyncio.create_task(line.query(Line.heard, rpc_timeout=SOON))
        for line in lines
        for _ in range(questions)
    ]
    await asyncio.gather(*(line.describe() for line in lines))
    for line in lines:
        handle = client.get_async_activity_handle(
            workflow_id=line.id, run_id=None, activity_id="work"
        )
        await handle.complete()
    updates = [asyncio.create_task(line.execute_update(Line.ask)) for line in lines]
    await asyncio.gather(*(line.describe() for line in lines))
    async with worker(await another(client)):
        answers = await asyncio.gather(*queries)
        await asyncio.gather(*updates)
        await asyncio.gather(*(line.result() for line in lines))
    assert ["end"] in answers, "no query has overtaken its task"
    replayer = Replayer(workflows=[Line], workflow_runner=WorkflowRunner())
    for line in lines:
        history = await line.fetch_history()
        assert TIMED_OUT not in {event.event_type for event in history.events}
        await replayer.replay_workflow(history)


async def test_workers_of_jobs_and_semaphores_use_the_runner(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served: dict[str, Worker] = {}
    monkeypatch.setattr(
        WorkflowRunner, "serve", lambda _, worker: served.update({worker.task_queue: worker})
    )
    async with working(client, tmp_path):
        assert sorted(served) == [GENVIDEO.name, SEMAPHORE_QUEUE]
    bound = served[SEMAPHORE_QUEUE].config()["max_concurrent_workflow_tasks"]
    assert bound == MAX_WORKFLOW_TASKS
