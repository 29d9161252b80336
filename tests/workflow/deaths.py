"""Jobs whose worker dies at chosen places, and what must be true of each afterwards."""

import asyncio
import contextlib
import hashlib
import signal
from collections.abc import Coroutine, Iterator, Sequence
from dataclasses import dataclass, replace
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

from temporalio.client import Client

from services.semaphore.worker import running_semaphore
from services.worker.worker import running_worker
from shared.http.client import http_client
from shared.jobs.assets import asset_path
from shared.jobs.ids import new_job_id
from shared.jobs.messages import Attempts, JobInput, Record
from shared.jobs.states import Status, Step
from shared.temporal.client import GENVIDEO_WORKFLOW, GET_RECORD_QUERY, WORKFLOW_TASK_TIMEOUT
from tests.services.mock_core.serving import Json, Service
from tests.workflow import worker_that_dies
from tests.workflow.pipeline import Pipeline, pipeline
from tests.workflow.side_by_side import side_by_side
from tests.workflow.worker_that_dies import Errand

# A place of `boundaries`, and which side of it.
Point = tuple[str, str]


@dataclass
class Death:
    """What became of one job whose worker died, by its record and by its workflow."""

    exit_statuses: list[int | None]
    record: Record
    workflows: Record


async def check_each(
    client: Client, data_dir: Path, deaths: Sequence[tuple[Point, ...]], **vendor_api: Any
) -> None:
    """One job each, beside each other, whose workers die at these points: it is paid for once."""
    async with (
        pipeline(client, data_dir, **vendor_api) as line,
        running_semaphore(client, shutdown_seconds=0.1),
        # The jobs' own queues are others: it reads the records, before anything is granted.
        running_worker(line.settings, client),
    ):
        await line.change(limit=len(deaths))

        async def scene(points: tuple[Point, ...]) -> None:
            await check_paid_once(line, await killed(line, await start(line), points))

        await side_by_side(scene, deaths)


async def killed(line: Pipeline, job_id: str, points: tuple[Point, ...]) -> Death:
    """A worker of the job's own queue dies at each point, and one more goes on to the end."""
    statuses = []
    for place, moment in points:
        errand = replace(errand_of(line, job_id), place=place, moment=moment)
        with process_of(errand) as victim:
            await first_of(ended(victim), line.job(job_id).result())
            statuses.append(victim.exitcode)
    async with running_worker(line.settings, line.client, task_queue=job_id):
        record = await line.ended(job_id)
        workflows = await line.job(job_id).query(GET_RECORD_QUERY, result_type=Record)
    return Death(statuses, record, workflows)


async def check_paid_once(line: Pipeline, death: Death) -> None:
    """The worker did die, and the job succeeded with one image and one video, as they were made."""
    assert set(death.exit_statuses) == {-signal.SIGKILL}
    record = death.record
    assert (record.status, record.attempts) == (Status.SUCCEEDED, Attempts(image=1, video=1))
    assert _undated(record) == _undated(death.workflows)
    for step in Step:
        rows = await ledger(line, record.job_id, step)
        assert [row["charged"] for row in rows] == [True]
        body = asset_path(line.settings.data_dir, record.job_id, step).read_bytes()
        assert hashlib.sha256(body).hexdigest() == record.assets[step].sha256


def _undated(record: Record) -> dict[str, Any]:
    """All but the moments of its changes.

    Where a write takes longer than most of a workflow task's time, the task is prolonged by another
    one, and a replay gives the change the moment of that one.
    """
    return record.model_dump(
        exclude={"started_at": True, "finished_at": True, "transitions": {"__all__": {"at"}}}
    )


async def start(line: Pipeline) -> str:
    """A job whose task queue is named as the job is."""
    job_id = new_job_id()
    await line.client.start_workflow(
        GENVIDEO_WORKFLOW,
        JobInput(prompt="a cat", style="ink"),
        id=job_id,
        task_queue=job_id,
        task_timeout=WORKFLOW_TASK_TIMEOUT,
    )
    return job_id


def errand_of(line: Pipeline, queue: str) -> Errand:
    address = line.client.service_client.config.target_host
    # A callback always comes before such a poll, so that what it brings about is always there.
    settings = line.settings.model_copy(update={"video_poll_seconds": 60.0})
    return Errand(settings, address, line.client.namespace, queue)


@contextlib.contextmanager
def process_of(errand: Errand) -> Iterator[ForkServerProcess]:
    process = worker_that_dies.start(errand)
    try:
        yield process
    finally:
        process.kill()
        process.join()


async def ledger(line: Pipeline, job_id: str, step: Step) -> list[Json]:
    """One vendor's rows of one job."""
    service = line.images if step is Step.IMAGE else line.videos
    # By a client that keeps no connection for longer than the mock does.
    async with http_client(str(service.http.base_url)) as http:
        rows = (await http.get("/admin/ledger")).json()
    return [row for row in rows if row["external_id"].startswith(job_id)]


async def first_of(*awaited: Coroutine[Any, Any, object]) -> None:
    """Return when one of them is done: a job may end without having passed the place."""
    tasks = [asyncio.create_task(each) for each in awaited]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def ended(process: ForkServerProcess) -> None:
    loop, gone = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(process.sentinel, gone.set)
    try:
        await gone.wait()
    finally:
        loop.remove_reader(process.sentinel)


def base_of(service: Service) -> str:
    return str(service.http.base_url).rstrip("/")
