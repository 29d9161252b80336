"""A job that meets no trouble: what it leaves in Temporal, on disk and at the vendors; its cost."""

import hashlib
import io
from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest
import pytest_asyncio
from PIL import Image
from temporalio.client import Client, WorkflowExecutionStatus

from services.worker.results import child
from shared.jobs.genvideo import GENVIDEO, IMAGE
from shared.jobs.messages import Progress, Record
from shared.jobs.slots import JOB_GATE
from shared.jobs.states import Status
from shared.pipeline import activities, starting
from shared.semaphore.messages import semaphore_id
from shared.temporal.client import CUSTOM_PROGRESS, CUSTOM_TAG, GET_PROGRESS_QUERY, GET_RECORD_QUERY
from tests.fixtures.eventually import eventually
from tests.fixtures.temporal import NewClient
from tests.shared.standins import asset_path
from tests.workflow.pipeline import Pipeline, once, working
from tests.workflow.scenarios import rule

MOST_EVENTS = 80
PROMPT = "一只猫在屋顶上 🐈 at dusk"


class Done(NamedTuple):
    """A job that has gone well, and the pipeline that it was the only one of."""

    line: Pipeline
    record: Record


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def done(
    new_client: NewClient, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Done]:
    async with working(await new_client(), tmp_path_factory.mktemp("done")) as line:
        yield Done(line, await line.run(PROMPT, tag="猫", priority=2))


async def test_record_has_every_transition(done: Done) -> None:
    line, record = done
    assert record.status is Status.SUCCEEDED
    assert (record.step, record.percent, record.error) == ("video", 100, None)
    assert record.attempts == once()
    assert (record.prompt, record.tag, record.priority) == (PROMPT, "猫", 2)
    assert record.asset_url == f"http://127.0.0.1:8000/jobs/{record.job_id}/video"
    assert record.started_at is not None
    assert record.finished_at is not None
    assert record.created_at <= record.started_at < record.finished_at
    assert record.token is not None
    assert record.namespace == line.client.namespace
    [row] = await line.ledger("video")
    assert record.tasks == {f"{record.job_id}.video.1": row["job_id"]}
    assert [(each.status, each.step) for each in record.transitions[:2]] == [
        (Status.QUEUED, None),
        (Status.RUNNING, "image"),
    ]


async def test_files_are_whole_and_without_metadata(done: Done) -> None:
    line, record = done
    for step in GENVIDEO.names:
        path = asset_path(line.settings.data_dir, record.job_id, GENVIDEO.stage(step))
        child.check(path, step, ("PNG", "MP4"), io.BytesIO())
        asset = record.assets[step]
        body = path.read_bytes()
        assert (asset.size, asset.sha256) == (len(body), hashlib.sha256(body).hexdigest())
    with Image.open(asset_path(line.settings.data_dir, record.job_id, IMAGE)) as picture:
        assert "prompt" not in picture.info


async def test_each_generation_is_paid_once_under_the_permits_token(done: Done) -> None:
    line, record = done
    for step in GENVIDEO.names:
        service = line.service(step)
        await service.quiet()
        [row] = await line.ledger(step)
        assert row["external_id"] == f"{record.job_id}.{step}.1"
        assert (row["charged"], row["outcome"]) == (True, "succeeded")
        assert row["token"] == record.token
        assert (await service.json("/admin/verdict"))["ok"]


async def test_search_attributes_are_set_from_start_to_end(
    line: Pipeline,
) -> None:
    job_id = await line.submit(tag="猫")
    first = (await line.job(job_id).describe()).typed_search_attributes
    assert (first[CUSTOM_PROGRESS] is not None, first[CUSTOM_TAG]) == (True, "猫")
    await line.ended(job_id)
    last = (await line.job(job_id).describe()).typed_search_attributes
    assert (last[CUSTOM_PROGRESS], last[CUSTOM_TAG]) == (100, "猫")

    async def found() -> list[str]:
        query = "CustomTag = '猫' AND CustomProgress = 100"
        return [each.id async for each in line.client.list_workflows(query)]

    assert await eventually(found, bool) == [job_id]


async def test_history_is_short_and_queries_work_after_the_end(done: Done) -> None:
    line, record = done
    job = line.job(record.job_id)
    description = await job.describe()
    assert description.status is WorkflowExecutionStatus.COMPLETED
    assert description.history_length <= MOST_EVENTS
    progress: Progress = await job.query(GET_PROGRESS_QUERY, result_type=Progress)
    assert progress == await job.result()
    assert (progress.step, progress.status, progress.percent, progress.asset_url) == (
        "video",
        Status.SUCCEEDED,
        100,
        record.asset_url,
    )
    assert progress.version == record.version
    assert await job.query(GET_RECORD_QUERY, result_type=Record) == record


async def test_many_jobs_run_one_at_a_time_and_in_order(line: Pipeline) -> None:
    job_ids = await line.submit_at_once(*(f"cat {n}" for n in range(4)))
    records = [await line.ended(job_id) for job_id in job_ids]
    assert {record.status for record in records} == {Status.SUCCEEDED}
    spans = []
    for record in records:
        image = await line.images.row(f"{record.job_id}.image.1")
        video = await line.videos.row(f"{record.job_id}.video.1")
        spans.append((image["accepted_ts"], video["finished_ts"], image["token"], video["token"]))
    assert spans == sorted(spans), "not in the order of submission"
    for (_, end, *_), (begin, *_) in pairwise(spans):
        assert end <= begin
    assert [token for *_, token, _ in spans] == [token for *_, token in spans]
    assert len({token for *_, token in spans}) == len(spans)


@pytest.fixture
def _at_once_on_a_busy_machine_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activities, "AT_ONCE_SECONDS", 30)
    monkeypatch.setattr(starting, "LOCAL_TIMEOUT", timedelta(seconds=60))


# What it costs


# A further stage takes three events for its activity, and three for its task.
OF_A_JOB = 20 + 6 * len(GENVIDEO.stages)
# Ten, and a few tasks more on a busy machine.
OF_THE_SEMAPHORE = 12
# That the slot goes on: an update, its task, the memo.
OF_A_CHANGE = 6
JOBS = 3


@pytest.mark.usefixtures("_at_once_on_a_busy_machine_too")
async def test_waiting_and_called_back_jobs_cost_few_events(client: Client, tmp_path: Path) -> None:
    async with working(client, tmp_path, video_poll_seconds=60) as line:
        # So each callback comes first: before the answer to its submit.
        await line.videos.arm(rule("submit", "delay", seconds=1_000))
        await line.change(paused=True)
        before = await line.events(semaphore_id(JOB_GATE))
        jobs = [await line.submit(f"cat {number}") for number in range(JOBS)]
        await line.slots(lambda view: view.waiting == tuple(jobs))
        await line.change(paused=False)
        for job_id in jobs:
            assert (await line.ended(job_id)).status is Status.SUCCEEDED
        await line.free()
        each = [await line.events(job_id) for job_id in jobs]
        spent = await line.events(semaphore_id(JOB_GATE)) - before - OF_A_CHANGE
    assert min(each) <= OF_A_JOB, each
    assert spent <= JOBS * OF_THE_SEMAPHORE, spent
