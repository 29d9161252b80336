"""A reset run is replayed under the id that it has at a worker."""

from temporalio import workflow
from temporalio.client import Client
from temporalio.worker import Worker

from shared.jobs.ids import new_job_id
from shared.replay.replayer import OwnRunReplayer
from tests.fixtures.resets import has_done_tasks, reset

QUEUE = "nobody-else"
SEEN: list[str] = []


@workflow.defn(sandboxed=False)
class Seen:
    """Notes the id of its run, as often as it begins, and ends when it is told to."""

    @workflow.init
    def __init__(self) -> None:
        self._ends = False
        SEEN.append(workflow.info().run_id)

    @workflow.run
    async def run(self) -> None:
        await workflow.wait_condition(lambda: self._ends)

    @workflow.signal
    def wake(self) -> None:
        """Make another workflow task."""

    @workflow.signal
    def end(self) -> None:
        """Have it end."""
        self._ends = True


async def test_a_run_that_was_reset_twice(client: Client) -> None:
    async with Worker(client, task_queue=QUEUE, workflows=[Seen], max_cached_workflows=0):
        job = await client.start_workflow(Seen.run, id=new_job_id(), task_queue=QUEUE)
        await has_done_tasks(client, job.id)
        await reset(client, job.id, back_to="first")
        await has_done_tasks(client, job.id)
        await client.get_workflow_handle(job.id).signal(Seen.wake)
        await has_done_tasks(client, job.id, 2)
        run_id = await reset(client, job.id, back_to="last")
        newest = client.get_workflow_handle(job.id)
        await newest.signal(Seen.end)
        await newest.result()
    assert SEEN[-1] == run_id
    history = await newest.fetch_history()
    SEEN.clear()
    await OwnRunReplayer(workflows=[Seen]).replay_workflow(history)
    assert set(SEEN) == {run_id}
    assert history.run_id == job.result_run_id
