"""A vendor that can't be asked by our id: a submit of unknown outcome is never repeated."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from temporalio.api.enums.v1 import PendingActivityState
from temporalio.client import Client
from temporalio.worker import Worker

from services.semaphore.worker import running_semaphore
from services.worker.worker import running_worker
from services.worker.workflows import GenVideoWorkflow
from shared.jobs.genvideo import GENVIDEO
from shared.jobs.states import Status
from shared.pipeline.records import StateActivities
from shared.semaphore.runner import WorkflowRunner
from tests.fixtures.eventually import eventually
from tests.services.mock_core.serving import Json
from tests.workflow.conftest import Lines
from tests.workflow.pipeline import Pipeline, once, pipeline, why
from tests.workflow.processes import worker_processes
from tests.workflow.scenarios import FIRST, rule
from tests.workflow.wires import KLING

OFF: Json = {"kling_look_up": "off"}
# How long the slot is held at most for a submit that nobody can be asked about.
DRAIN_SECONDS = 1.0
WAITS = PendingActivityState.PENDING_ACTIVITY_STATE_SCHEDULED
# Longer than a worker takes to start; and longer than any of these jobs takes.
HELD, BOUND = 5.0, 60.0
# What the vendor has accepted of a submit whose answer never came.
LOST: dict[str, tuple[Json, int]] = {
    "the reply": (rule("submit", "lose-reply", often=FIRST, how="reset"), 1),
    "the request": (rule("submit", "reset", often=FIRST), 0),
}
# A Kling that finds nothing by our id, and makes another video of a second submit.
WITHOUT_LOOK_UP = {"look_up": {"by_external_id": False}, "duplicates": "accept"}


async def untold(lines: Lines, **changes: Any) -> Pipeline:
    """A pipeline whose video vendor can't be asked by our id."""
    line = await lines(**KLING, **OFF, video_poll_seconds=0.05, **changes)
    await line.videos.http.put("/admin/config", json=WITHOUT_LOOK_UP)
    return line


@pytest.mark.parametrize(("lost", "accepted"), LOST.values(), ids=list(LOST))
async def test_stage_fails_and_the_slot_is_held_while_it_may_run(
    lines: Lines, lost: Json, accepted: int
) -> None:
    """The next job begins when the first one's video would have ended."""
    line = await untold(lines, drain_seconds=DRAIN_SECONDS)
    await line.videos.arm({**lost, "match": {"prompt": "bad"}})
    bad, good = await line.submit("bad"), await line.submit("good")
    first, second = await asyncio.gather(line.ended(bad), line.ended(good))
    assert (first.status, first.attempts) == (Status.FAILED, once())
    assert why(first).code == "never_told"
    assert "can't be asked by our id" in why(first).message
    assert second.status is Status.SUCCEEDED
    rows = await line.ledger("video")
    assert sum(row["external_id"].startswith(bad) for row in rows) == accepted
    [waits] = [each for each in first.transitions if "until the vendors are clear" in each.note]
    assert first.finished_at is not None
    assert (first.finished_at - waits.at).total_seconds() >= DRAIN_SECONDS
    following = await line.images.row(f"{good}.image.1")
    assert following["accepted_ts"] >= first.finished_at.timestamp()


async def test_generation_accepted_during_a_cancel_is_kept(lines: Lines) -> None:
    """Nobody else could ask for it."""
    line = await untold(lines, drain_seconds=BOUND)
    await line.videos.arm(rule("submit", "delay", often=FIRST, seconds=60_000))
    job_id = await line.submit()
    await line.videos.until("/admin/trace", lambda it: bool(it["rows"]))
    await line.job(job_id).cancel()
    await is_told_to_stop(line, job_id)
    await line.videos.hurry()
    record = await line.ended(job_id)
    [row] = await line.videos.json(f"/admin/ledger?external_id={job_id}.video.1")
    assert record.status is Status.CANCELLED
    assert record.tasks[f"{job_id}.video.1"] == row["job_id"]
    assert set(record.assets) == set(GENVIDEO.names)
    assert record.finished_at is not None
    assert record.started_at is not None
    assert (record.finished_at - record.started_at).total_seconds() < BOUND


async def is_told_to_stop(line: Pipeline, job_id: str) -> None:
    """Return when the server has the job's activity cancelled, which is under way."""

    async def states() -> list[int]:
        described = (await line.job(job_id).describe()).raw_description
        return [each.state for each in described.pending_activities]

    asked = PendingActivityState.PENDING_ACTIVITY_STATE_CANCEL_REQUESTED
    await eventually(states, lambda found: found == [asked])


async def test_job_cancelled_between_two_tries_holds_the_slot_for_a_possible_generation(
    client: Client, tmp_path: Path
) -> None:
    """Its worker has died behind the submit; who takes the job over has no time to try again."""
    spoken = {**KLING, **OFF}
    environment = {name.upper(): str(value) for name, value in spoken.items()}
    async with (
        pipeline(client, tmp_path, **spoken, drain_seconds=HELD) as line,
        running_semaphore(client, shutdown_seconds=0.1),
    ):
        await line.videos.http.put("/admin/config", json=WITHOUT_LOOK_UP)
        await line.videos.arm(rule("submit", "delay", often=FIRST, seconds=60_000))
        with worker_processes(line) as workers:
            workers.start(1, environment=environment)
            job_id = await line.submit()
            await line.videos.until("/admin/trace", lambda it: bool(it["rows"]))
            workers.kill()
        await waits_for_its_next_try(line, job_id)
        await line.job(job_id).cancel()
        async with without_tries(line):
            await line.noted(job_id, "until the vendors are clear")
        async with running_worker(line.settings, client):
            record = await line.ended(job_id)
        [waits] = [
            each for each in record.transitions if "until the vendors are clear" in each.note
        ]
        assert record.status is Status.CANCELLED
        assert record.finished_at is not None
        assert (record.finished_at - waits.at).total_seconds() >= HELD


async def waits_for_its_next_try(line: Pipeline, job_id: str) -> None:
    """Return when the server has noticed that the worker is dead."""

    async def waiting() -> list[tuple[int, bool]]:
        described = (await line.job(job_id).describe()).raw_description
        return [(each.state, each.attempt > 1) for each in described.pending_activities]

    await eventually(waiting, lambda found: found == [(WAITS, True)])


@contextlib.asynccontextmanager
async def without_tries(line: Pipeline) -> AsyncIterator[None]:
    """A worker that takes a job's decisions, and begins none of its activities."""
    state = StateActivities(line.settings, client=line.client)
    local: list[Callable[..., Any]] = [state.enter_queue, state.record_state]
    async with Worker(
        line.client,
        task_queue=GENVIDEO.name,
        workflows=[GenVideoWorkflow],
        activities=local,
        workflow_runner=WorkflowRunner(),
        no_remote_activities=True,
        build_id="test",
    ):
        yield


async def test_accepted_generation_is_polled_by_the_vendors_id(lines: Lines) -> None:
    """Also when its job is cancelled: the slot is free when the vendor says that it has ended."""
    line = await untold(lines)
    await line.videos.arm(rule("start", "slow", factor=15))
    job_id = await line.submit()
    await line.noted(job_id, "video accepted")
    await line.job(job_id).cancel()
    record = await line.ended(job_id)
    row = await line.videos.row(f"{job_id}.video.1")
    assert record.status is Status.CANCELLED
    assert record.finished_at is not None
    assert record.finished_at.timestamp() >= row["finished_ts"]
    assert set(record.assets) == set(GENVIDEO.names)
    assert float(record.units[f"{job_id}.video.1"]) > 0
