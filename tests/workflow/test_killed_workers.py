"""Workers as real processes, killed or frozen in mid-job: another goes on, nothing paid twice."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from temporalio.api.enums.v1 import EventType, PendingActivityState
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client

from services.semaphore.worker import running_semaphore
from services.worker.worker import running_worker
from shared.health import EX_TEMPFAIL
from shared.jobs.genvideo import GENVIDEO
from shared.jobs.states import Status
from shared.pipeline.policies import RETRY_POLICY
from shared.temporal.pace import Pace
from tests.fixtures.eventually import eventually
from tests.services.mock_core.serving import Json, Service
from tests.workflow.pipeline import (
    LONG,
    STEPS,
    Pipeline,
    at_once,
    begun,
    grants,
    once,
    paid_once,
    pipeline,
    rows,
)
from tests.workflow.processes import hanging_worker, send, worker_processes
from tests.workflow.scenarios import FIRST, rule

# Where a worker's activity may stand when it dies; each is held up there for the job of that name.
STAGES: dict[str, Json] = {
    "submitting": rule("submit", "delay", often=FIRST, seconds=60_000),
    "waiting": LONG,
    "fetching": rule("result", "delay", often=FIRST, seconds=60_000),
}


@pytest_asyncio.fixture(loop_scope="module")
async def line(client: Client, tmp_path: Path) -> AsyncIterator[Pipeline]:
    async with pipeline(client, tmp_path) as line, running_semaphore(client, shutdown_seconds=0.1):
        yield line


async def is_sound(line: Pipeline, jobs: int, *, limit: int = 1) -> None:
    """Each job was paid once, never too many ran, and each grant came back."""
    found = await rows(line)
    assert len(found) == len(GENVIDEO.names) * jobs
    assert paid_once(found)
    for service in (line.images, line.videos):
        assert (await service.json("/admin/verdict"))["ok"]
    assert (await at_once(line, limit)).violations == 0
    await line.free()
    counted = await grants(line.client)
    assert (counted["granted"], counted["returned"]) == (jobs, jobs)


@pytest.mark.parametrize(("stage", "how"), [("image", signal.SIGKILL), ("video", signal.SIGSTOP)])
async def test_job_continues_on_another_worker(
    line: Pipeline, stage: str, how: signal.Signals
) -> None:
    await line.service(stage).arm({**LONG, "match": {"prompt": "long"}})
    with worker_processes(line) as workers:
        workers.start(2)
        job_id, following = await line.submit("long"), await line.submit("next")
        await begun(line.service(stage), f"{job_id}.{stage}.1")
        victim = await workers.of(job_id)
        send(victim, how)
        await line.service(stage).hurry()
        record = await line.ended(job_id)
        if how is signal.SIGSTOP:
            send(victim, signal.SIGCONT)
        assert (record.status, record.attempts) == (Status.SUCCEEDED, once())
        assert (await line.ended(following)).status is Status.SUCCEEDED
    await is_sound(line, 2)
    tokens = [row["token"] for row in await rows(line)]
    assert tokens == sorted(tokens)


async def test_each_permit_returns_after_a_kill_at_every_stage(line: Pipeline) -> None:
    """One job is held up at each stage and one waits when their only worker dies."""
    names = [f"{stage}: {where}" for stage in STEPS for where in STAGES]
    for stage in STEPS:
        await line.service(stage).arm(
            *({**STAGES[where], "match": {"prompt": f"{stage}: {where}"}} for where in STAGES)
        )
    with worker_processes(line) as workers:
        workers.start()
        await line.change(limit=len(names))
        jobs = [await line.submit(name) for name in names]
        await line.slots(lambda view: len(view.holders) == len(names))
        jobs.append(waiting := await line.submit("waiting"))
        await line.slots(lambda view: view.waiting == (waiting,))
        for stage in STEPS:
            await held_up(line.service(stage), len(STAGES))
        workers.kill()
        for service in (line.images, line.videos):
            await service.hurry()
        async with running_worker(line.settings, line.client):
            for job_id in jobs:
                record = await line.ended(job_id)
                assert record.status is Status.SUCCEEDED, record.prompt
                assert record.attempts == once(), record.prompt
    await is_sound(line, len(jobs), limit=len(names))


async def held_up(service: Service, count: int) -> None:
    """Return when that many jobs have met what was armed for them."""
    await service.until(
        "/admin/trace", lambda it: len({row["prompt"] for row in it["rows"]}) >= count
    )


# How soon a job goes on


# What a busy machine may add; with it the bounds are still below what the SDK's defaults would take
# (10 s for a sticky queue).
SLACK_SECONDS = 8.0
FAST = Pace.FAST.times
STARTED = EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED
COMPLETED = EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED
TASK_STARTED = EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED


async def test_take_over_after_kill_9_is_bounded_by_the_time_outs(line: Pipeline) -> None:
    await line.images.arm({**LONG, "match": {"prompt": "long"}})
    with worker_processes(line) as workers:
        [victim] = workers.start()
        await workers.ready()
        job_id = await line.submit("long")
        await begun(line.images, f"{job_id}.image.1")
        killed_at = time.time()
        victim.kill()
        async with running_worker(line.settings, line.client):
            await eventually(lambda: tries(line, job_id), lambda number: number > 1)
            await line.images.hurry()
            assert (await line.ended(job_id)).status is Status.SUCCEEDED
    events = list((await line.job(job_id).fetch_history()).events)
    image, task = image_again(events), task_after_the_image(events)
    first_retry = RETRY_POLICY.initial_interval.total_seconds()
    assert image - killed_at < FAST.work.total_seconds() + first_retry + SLACK_SECONDS
    assert task < FAST.sticky.total_seconds() + SLACK_SECONDS


def image_again(events: list[HistoryEvent]) -> float:
    """When the try began that made the image in the end, seconds since 1970."""
    [first, *_] = (each for each in events if each.event_type == STARTED)
    assert first.activity_task_started_event_attributes.attempt > 1
    return at(first)


def task_after_the_image(events: list[HistoryEvent]) -> float:
    """Seconds until a worker took the workflow's next step; first the dead one is asked."""
    stored = next(n for n, each in enumerate(events) if each.event_type == COMPLETED)
    taken = next(each for each in events[stored:] if each.event_type == TASK_STARTED)
    return at(taken) - at(events[stored])


def at(event: HistoryEvent) -> float:
    return event.event_time.ToMicroseconds() / 1e6


async def tries(line: Pipeline, job_id: str) -> int:
    """Which try of the job's activity is at work; 0 while none is."""
    description = (await line.job(job_id).describe()).raw_description
    return max(
        (
            each.attempt
            for each in description.pending_activities
            if each.state == PendingActivityState.PENDING_ACTIVITY_STATE_STARTED
        ),
        default=0,
    )


async def test_worker_with_a_stalled_loop_ends_itself_and_the_job_continues(line: Pipeline) -> None:
    with worker_processes(line) as workers:
        [hanging] = workers.start(main=hanging_worker, environment={"STALL_SECONDS": "1"})
        job_id = await line.submit()
        await asyncio.to_thread(hanging.join)
        assert hanging.exitcode == EX_TEMPFAIL
        async with running_worker(line.settings, line.client):
            record = await line.ended(job_id)
    assert (record.status, record.attempts) == (Status.SUCCEEDED, once())
    assert len(await rows(line)) == len(GENVIDEO.names)
