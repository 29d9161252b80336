"""Everything of one kind restarted in the middle of a queue: the server, or all that works."""

import signal
from pathlib import Path

from temporalio.client import Client

from shared.jobs.states import Status
from shared.semaphore.messages import CHANGE_UPDATE, JOB_GATE, SlotChange, semaphore_id
from tests.fixtures.server import own_server
from tests.workflow.books import at_once, grants, rows
from tests.workflow.pipeline import Pipeline, paid_once, pipeline, working
from tests.workflow.processes import worker_processes
from tests.workflow.scenarios import rule
from tests.workflow.test_cancelling import begun

QUEUED = 20
LIMIT = 2
# Long enough for a restart to fall into the middle of a job.
SLOWLY = rule("start", "slow", extra=500)


async def all_succeeded(line: Pipeline, jobs: list[str], *, limit: int = 1) -> None:
    """Every job ended well, was paid for once, and never were there too many."""
    for job_id in jobs:
        assert (await line.ended(job_id)).status is Status.SUCCEEDED
    found = await rows(line)
    assert len(found) == 2 * len(jobs)
    assert paid_once(found)
    swept = await at_once(line, limit)
    assert (swept.most, swept.violation) == (limit, None)


async def test_a_killed_server_comes_back_to_all_that_were_queued(tmp_path: Path) -> None:
    with own_server(tmp_path) as server:
        async with working(await server.client(), tmp_path) as line:
            await line.images.arm({**rule("start", "slow", extra=2_000), "match": {"nth": 1}})
            await line.change(paused=True)
            jobs = [await line.submit(f"cat {number}") for number in range(QUEUED)]
            await line.slots(lambda view: view.waiting_count == QUEUED)
            await line.change(paused=False)
            await begun(line.images, f"{jobs[0]}.image.1")
            server.kill()
            server.start()
            await server.client()
            await all_succeeded(line, jobs)
            await line.free()
            counted = await grants(line.client)
            assert (counted["granted"], counted["returned"]) == (QUEUED, QUEUED)


async def test_all_that_work_restarted_at_once_admit_no_more_than_before(
    client: Client, tmp_path: Path
) -> None:
    """Workers and the semaphore's process end together, and come back together, twice."""
    async with pipeline(client, tmp_path) as line:
        await line.images.arm(SLOWLY)
        with worker_processes(line) as workers:
            workers.start_semaphore()
            workers.start(2)
            await line.slots()
            semaphore = client.get_workflow_handle(semaphore_id(JOB_GATE))
            await semaphore.execute_update(CHANGE_UPDATE, SlotChange(limit=LIMIT))
            jobs = [await line.submit(f"cat {number}") for number in range(8)]
            for number, how in ((0, signal.SIGTERM), (4, signal.SIGKILL)):
                await begun(line.images, f"{jobs[number]}.image.1")
                workers.end(how)
                workers.start_semaphore()
                workers.start(2)
            await all_succeeded(line, jobs, limit=LIMIT)
            await line.free()
