"""Workers as real processes, killed or frozen in mid-job: another goes on, nothing paid twice."""

import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from temporalio.client import Client

from services.semaphore.worker import running_semaphore
from services.worker.worker import running_worker
from shared.jobs.messages import Attempts
from shared.jobs.states import Status
from tests.services.mock_core.serving import Json, Service
from tests.workflow.books import at_once, grants, rows
from tests.workflow.pipeline import Pipeline, paid_once, pipeline
from tests.workflow.processes import worker_processes
from tests.workflow.scenarios import FIRST, rule
from tests.workflow.test_cancelling import begun

# A minute, so that a worker is sure to be killed in the middle; then the vendor hurries.
LONG = rule("start", "slow", extra=60_000)
# Where a worker's activity may stand when it dies; each is held up there for the job of that name.
STAGES: dict[str, Json] = {
    "submitting": rule("submit", "delay", often=FIRST, seconds=60_000),
    "waiting": LONG,
    "fetching": rule("result", "delay", often=FIRST, seconds=60_000),
}


@pytest.fixture
async def line(client: Client, tmp_path: Path) -> AsyncIterator[Pipeline]:
    async with pipeline(client, tmp_path) as line, running_semaphore(client, shutdown_seconds=0.1):
        yield line


def service_of(line: Pipeline, stage: str) -> Service:
    return line.images if stage == "image" else line.videos


async def is_sound(line: Pipeline, jobs: int, *, limit: int = 1) -> None:
    """Each job was paid once, never too many ran, and each grant came back."""
    found = await rows(line)
    assert len(found) == 2 * jobs
    assert paid_once(found)
    for service in (line.images, line.videos):
        assert (await service.json("/admin/verdict"))["ok"]
    assert (await at_once(line, limit)).violation is None
    await line.free()
    counted = await grants(line.client)
    assert (counted["granted"], counted["returned"]) == (jobs, jobs)


@pytest.mark.parametrize("end", ["image: killed", "video: killed", "video: frozen"])
async def test_the_job_goes_on_elsewhere(line: Pipeline, end: str) -> None:
    stage, how = end.split(": ")
    await service_of(line, stage).arm({**LONG, "match": {"prompt": "long"}})
    with worker_processes(line) as workers:
        workers.start(2)
        job_id, following = await line.submit("long"), await line.submit("next")
        await begun(service_of(line, stage), f"{job_id}.{stage}.1")
        victim = await workers.of(job_id)
        victim.send_signal(signal.SIGKILL if how == "killed" else signal.SIGSTOP)
        await service_of(line, stage).hurry()
        record = await line.ended(job_id)
        if how == "frozen":
            victim.send_signal(signal.SIGCONT)
        assert (record.status, record.attempts) == (Status.SUCCEEDED, Attempts(image=1, video=1))
        assert (await line.ended(following)).status is Status.SUCCEEDED
    await is_sound(line, 2)
    tokens = [row["token"] for row in await rows(line)]
    assert tokens == sorted(tokens)


async def test_killed_at_every_stage_each_grant_comes_back(line: Pipeline) -> None:
    """One job is held up at each stage and one waits when their only worker dies."""
    names = [f"{stage}: {where}" for stage in ("image", "video") for where in STAGES]
    for stage in ("image", "video"):
        await service_of(line, stage).arm(
            *({**STAGES[where], "match": {"prompt": f"{stage}: {where}"}} for where in STAGES)
        )
    with worker_processes(line) as workers:
        workers.start()
        await line.change(limit=len(names))
        jobs = [await line.submit(name) for name in names]
        for stage in ("image", "video"):
            await held_up(service_of(line, stage), len(STAGES))
        jobs.append(waiting := await line.submit("waiting"))
        await line.slots(lambda view: view.waiting == (waiting,))
        workers.kill()
        for service in (line.images, line.videos):
            await service.hurry()
        async with running_worker(line.settings, line.client):
            for job_id in jobs:
                record = await line.ended(job_id)
                assert record.status is Status.SUCCEEDED, record.prompt
                assert record.attempts == Attempts(image=1, video=1), record.prompt
    await is_sound(line, len(jobs), limit=len(names))


async def held_up(service: Service, count: int) -> None:
    """Return when that many jobs have met what was armed for them."""
    await service.until(
        "/admin/trace", lambda it: len({row["prompt"] for row in it["rows"]}) >= count
    )
