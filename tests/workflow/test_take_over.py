"""How soon a job goes on after its worker's end: as soon as our own settings say, by the server."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from temporalio.api.enums.v1 import EventType, PendingActivityState
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client

from services.semaphore.worker import running_semaphore
from services.worker.policies import RETRY_POLICY
from services.worker.worker import running_worker
from shared.health import EX_TEMPFAIL
from shared.jobs.messages import Attempts
from shared.jobs.states import Status
from shared.temporal.pace import Pace
from tests.fixtures.eventually import eventually
from tests.workflow.books import rows
from tests.workflow.pipeline import Pipeline, pipeline
from tests.workflow.processes import worker_processes
from tests.workflow.scenarios import rule
from tests.workflow.test_cancelling import begun

# What a busy machine may add; with it the bounds are still below what the SDK's defaults would take
# (10 s for a sticky queue).
SLACK_SECONDS = 8.0
FAST = Pace.FAST.times
STARTED = EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED
COMPLETED = EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED
TASK_STARTED = EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED
# A minute, so that it is sure to last until the test has it hurry.
LONG = rule("start", "slow", extra=60_000)


@pytest.fixture
async def line(client: Client, tmp_path: Path) -> AsyncIterator[Pipeline]:
    async with pipeline(client, tmp_path) as line, running_semaphore(client, shutdown_seconds=0.1):
        yield line


async def test_after_kill_9_within_what_our_time_outs_allow(line: Pipeline) -> None:
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


async def test_a_worker_whose_loop_hangs_ends_itself_and_the_job_goes_on(line: Pipeline) -> None:
    with worker_processes(line) as workers:
        [hanging] = workers.start(module="tests.workflow.hanging_worker", STALL_SECONDS="1")
        job_id = await line.submit()
        assert await asyncio.to_thread(hanging.wait) == EX_TEMPFAIL
        async with running_worker(line.settings, line.client):
            record = await line.ended(job_id)
    assert (record.status, record.attempts) == (Status.SUCCEEDED, Attempts(image=1, video=1))
    assert len(await rows(line)) == 2
