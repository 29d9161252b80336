"""A job that meets no trouble: what it leaves in Temporal, on disk and at the vendors."""

import asyncio
import hashlib
import io
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import NamedTuple

import pytest
import pytest_asyncio
from PIL import Image
from temporalio.client import WorkflowExecutionStatus

from services.worker.acting import heartbeat
from services.worker.results import media
from shared.jobs.assets import asset_path
from shared.jobs.messages import Attempts, Progress, Record
from shared.jobs.states import Status, Step
from shared.temporal.client import (
    CUSTOM_PROGRESS,
    CUSTOM_TAG,
    GET_PROGRESS_QUERY,
    GET_RECORD_QUERY,
)
from tests.fixtures.eventually import eventually
from tests.fixtures.temporal import NewClient
from tests.workflow.pipeline import Pipeline, working
from tests.workflow.wires import APIS

MOST_EVENTS = 80
PROMPT = "一只猫在屋顶上 🐈 at dusk"
of_the_same_job = pytest.mark.asyncio(loop_scope="module")


class Done(NamedTuple):
    """A job that has gone well, and the pipeline that it was the only one of."""

    line: Pipeline
    record: Record


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=list(APIS))
async def done(
    request: pytest.FixtureRequest,
    new_client: NewClient,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[Done]:
    """By each of the video vendor's APIs."""
    folder = tmp_path_factory.mktemp("done")
    async with working(await new_client(), folder, **APIS[request.param]) as line:
        yield Done(line, await line.run(PROMPT, tag="猫", priority=2))


@of_the_same_job
async def test_the_record_tells_the_whole_story(done: Done) -> None:
    line, record = done
    assert record.status is Status.SUCCEEDED
    assert (record.step, record.percent, record.error) == (Step.VIDEO, 100, None)
    assert record.attempts == Attempts(image=1, video=1)
    assert (record.prompt, record.tag, record.priority) == (PROMPT, "猫", 2)
    assert record.asset_url == f"http://127.0.0.1:8000/jobs/{record.job_id}/video"
    assert record.started_at is not None
    assert record.finished_at is not None
    assert record.created_at <= record.started_at < record.finished_at
    assert record.token is not None
    assert record.namespace == line.client.namespace
    [row] = await line.videos.json("/admin/ledger")
    assert record.tasks == {f"{record.job_id}.video.1": row["job_id"]}
    assert [(each.status, each.step) for each in record.transitions[:2]] == [
        (Status.QUEUED, None),
        (Status.RUNNING, Step.IMAGE),
    ]


@of_the_same_job
async def test_the_files_are_whole_and_tell_nothing_of_their_making(done: Done) -> None:
    line, record = done
    for step in Step:
        path = asset_path(line.settings.data_dir, record.job_id, step)
        media.check(path, step, ("PNG", "MP4"), io.BytesIO())
        asset = record.assets[step]
        body = path.read_bytes()
        assert (asset.size, asset.sha256) == (len(body), hashlib.sha256(body).hexdigest())
    with Image.open(asset_path(line.settings.data_dir, record.job_id, Step.IMAGE)) as picture:
        assert "prompt" not in picture.info


@of_the_same_job
async def test_each_generation_is_paid_once_under_the_permits_token(done: Done) -> None:
    line, record = done
    for service, step in ((line.images, Step.IMAGE), (line.videos, Step.VIDEO)):
        await service.quiet()
        [row] = await service.json("/admin/ledger")
        assert row["external_id"] == f"{record.job_id}.{step}.1"
        assert (row["charged"], row["outcome"]) == (True, "succeeded")
        assert row["token"] == record.token
        assert (await service.json("/admin/verdict"))["ok"]


async def test_search_attributes_are_there_from_the_first_moment_to_the_end(
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


@of_the_same_job
async def test_its_history_is_short_and_it_answers_after_its_end(done: Done) -> None:
    line, record = done
    job = line.job(record.job_id)
    description = await job.describe()
    assert description.status is WorkflowExecutionStatus.COMPLETED
    assert description.history_length <= MOST_EVENTS
    progress: Progress = await job.query(GET_PROGRESS_QUERY, result_type=Progress)
    assert progress == await job.result()
    assert (progress.step, progress.status, progress.percent, progress.asset_url) == (
        Step.VIDEO,
        Status.SUCCEEDED,
        100,
        record.asset_url,
    )
    assert progress.version == record.version
    assert await job.query(GET_RECORD_QUERY, result_type=Record) == record


async def test_many_jobs_run_one_at_a_time_and_in_order(line: Pipeline) -> None:
    job_ids = await line.submit_at_once(*(f"cat {n}" for n in range(6)))
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


async def test_a_prompt_of_the_greatest_length_gets_through(line: Pipeline) -> None:
    record = await line.run("猫" * 2500)
    assert record.status is Status.SUCCEEDED
    assert record.prompt == "猫" * 2500


async def test_percent_is_reported_on_the_way(
    line: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slower vendor: the percent reaches the record by signals, and stays within the bound."""
    monkeypatch.setattr(heartbeat, "REPORT_SECONDS", 0.01)
    rule = {"where": "start", "do": "slow", "with": {"factor": 20}}
    await asyncio.gather(line.images.arm(rule), line.videos.arm(rule))
    record = await line.run()
    reported = [each.percent for each in record.transitions if each.note.endswith(" %")]
    assert reported
    assert await line.events(record.job_id) <= MOST_EVENTS
