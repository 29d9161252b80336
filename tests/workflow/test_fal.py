"""Over fal's queue, which knows no id of ours: found again by its own address, and paid once."""

import asyncio
import signal
from pathlib import Path

import pytest
from temporalio.client import Client

from services.callback.models import Fate
from services.semaphore.worker import running_semaphore
from shared.jobs.messages import Attempts, Record
from shared.jobs.states import Status, Step
from shared.temporal.pace import Pace
from tests.services.mock_core.serving import Json
from tests.workflow.crowd import crowd_of
from tests.workflow.pipeline import Pipeline, paid_once, pipeline, working
from tests.workflow.processes import worker_processes
from tests.workflow.race import fates
from tests.workflow.scenarios import FIRST, FOR_EITHER_STAGE, Scenario, rule
from tests.workflow.test_cancelling import begun
from tests.workflow.wires import FAL

NEVER = 3600
# A minute, so that the worker is sure to have looked before the end; then the vendor hurries.
LONG = rule("start", "slow", extra=60_000)
DRAIN_SECONDS = 1.0
# By the name of a trouble: the generations that the record counts; all but the last two's jobs end
# well.
ATTEMPTS = {
    "fails once": 2,
    "fails three times": 4,
    "503 twice": 1,
    "file truncated": 2,
    "file gone": 2,
    "file truncated at first": 1,
    "forgotten": 2,
    "polls fail": 1,
    "fails always": 4,
    "refused for good": 0,
}
FAIL = {"fails always", "refused for good"}


def kept(record: Record) -> str:
    """What the record has of its first video."""
    return record.tasks[f"{record.job_id}.video.1"]


async def row_of(line: Pipeline, record: Record) -> Json:
    """The one request that the vendor has taken of a job, by its own name for it."""
    [row] = await line.videos.json(f"/admin/ledger?external_id={record.job_id}.video.1")
    assert kept(record) == f"fal-ai/kling-video/requests/{row['job_id']}"
    return dict(row)


async def test_a_callback_alone_is_enough(client: Client, tmp_path: Path) -> None:
    async with working(client, tmp_path, **FAL, video_poll_seconds=NEVER) as line:
        await line.videos.arm(LONG)
        job_id = await line.submit()
        await line.videos.until("/admin/journal?method=GET&path=/fal/", bool)
        await line.videos.hurry()
        record = await line.ended(job_id)
        assert (record.status, set(record.assets)) == (Status.SUCCEEDED, {"image", "video"})
        await row_of(line, record)
        assert await fates(line, job_id, 1) == [Fate.APPLIED]


async def test_so_is_polling(client: Client, tmp_path: Path) -> None:
    async with working(client, tmp_path, **FAL, video_poll_seconds=0.05) as line:
        await line.videos.arm(rule("callback", "lose"))
        record = await line.run()
        assert (record.status, record.attempts) == (Status.SUCCEEDED, Attempts(image=1, video=1))
        assert (await row_of(line, record))["charged"]


async def test_each_trouble_costs_what_it_costs_over_the_small_contract(
    client: Client, tmp_path: Path
) -> None:
    scenarios = {name: Scenario(Step.VIDEO, FOR_EITHER_STAGE[name]) for name in ATTEMPTS}
    # A try that is taken for dead can't be asked about here, and ends its job.
    async with crowd_of(scenarios, client, tmp_path, **FAL, pace=Pace.CLOUD) as crowd:
        records = {name: await crowd.record(name) for name in scenarios}
        rows = await crowd.line.videos.json("/admin/ledger")
    assert {name: each.attempts.video for name, each in records.items()} == ATTEMPTS
    assert {name for name, each in records.items() if each.status is not Status.SUCCEEDED} == FAIL
    assert paid_once(rows)


async def test_a_cancelled_job_stops_its_request(client: Client, tmp_path: Path) -> None:
    async with working(client, tmp_path, **FAL) as line:
        await line.videos.arm(LONG)
        job_id = await line.submit()
        await line.noted(job_id, "video accepted")
        await line.job(job_id).cancel()
        record = await line.ended(job_id)
        row = await row_of(line, record)
        assert record.status is Status.CANCELLED
        assert (row["outcome"], row["charged"]) == ("cancelled", False)
        assert record.finished_at is not None
        assert record.finished_at.timestamp() >= row["finished_ts"]


@pytest.mark.parametrize(
    ("lost", "accepted"),
    [
        (rule("submit", "lose-reply", often=FIRST, how="reset"), 1),
        (rule("submit", "lose-reply", often=FIRST, how="500"), 1),
        (rule("submit", "reset", often=FIRST), 0),
    ],
    ids=["the reply", "the reply as 500", "the request"],
)
async def test_a_submit_of_unknown_outcome_is_never_repeated(
    client: Client, tmp_path: Path, lost: Json, accepted: int
) -> None:
    async with working(client, tmp_path, **FAL, drain_seconds=DRAIN_SECONDS) as line:
        await line.videos.arm({**lost, "match": {"prompt": "bad"}})
        bad, good = await line.submit("bad"), await line.submit("good")
        first, second = await asyncio.gather(line.ended(bad), line.ended(good))
        assert first.error is not None
        assert (first.status, first.error.code) == (Status.FAILED, "never_told")
        assert second.status is Status.SUCCEEDED
        rows = await line.videos.json(f"/admin/ledger?external_id={bad}.video.1")
        assert len(rows) == accepted


async def test_a_request_outlives_its_worker_and_a_change_of_the_model(
    client: Client, tmp_path: Path
) -> None:
    """The record alone tells the next worker where it is found."""
    environment = {name.upper(): str(value) for name, value in FAL.items()}
    async with (
        pipeline(client, tmp_path, **FAL) as line,
        running_semaphore(client, shutdown_seconds=0.1),
    ):
        await line.videos.arm(LONG)
        with worker_processes(line) as workers:
            [victim] = workers.start(1, **environment)
            job_id = await line.submit()
            await begun(line.videos, f"{job_id}.video.1")
            await line.noted(job_id, "video accepted")
            victim.send_signal(signal.SIGKILL)
            victim.wait()
            workers.start(1, **environment, FAL_MODEL="another/app/image-to-video")
            await line.videos.hurry()
            record = await line.ended(job_id)
        assert (record.status, record.attempts) == (Status.SUCCEEDED, Attempts(image=1, video=1))
        assert (await row_of(line, record))["charged"]


async def test_what_a_killed_worker_was_submitting_is_never_submitted_again(
    client: Client, tmp_path: Path
) -> None:
    environment = {name.upper(): str(value) for name, value in FAL.items()}
    environment["DRAIN_SECONDS"] = str(DRAIN_SECONDS)
    async with (
        pipeline(client, tmp_path, **FAL) as line,
        running_semaphore(client, shutdown_seconds=0.1),
    ):
        await line.videos.arm(rule("submit", "delay", often=FIRST, seconds=60_000))
        with worker_processes(line) as workers:
            [victim] = workers.start(1, **environment)
            job_id = await line.submit()
            await line.videos.until("/admin/trace", lambda it: bool(it["rows"]))
            victim.send_signal(signal.SIGKILL)
            victim.wait()
            await line.videos.hurry()
            workers.start(1, **environment)
            record = await line.ended(job_id)
        assert record.error is not None
        assert (record.status, record.error.code) == (Status.FAILED, "never_told")
        asked = await line.videos.json("/admin/journal?method=POST&path=/fal/")
        assert len(asked) <= 1
        assert len(await line.videos.json(f"/admin/ledger?external_id={job_id}.video.1")) <= 1


async def test_a_wrong_key_fails_the_stage_before_anything_is_paid(
    client: Client, tmp_path: Path
) -> None:
    async with working(client, tmp_path, **{**FAL, "fal_key": "another"}) as line:
        record = await line.run()
        assert (record.status, record.attempts) == (Status.FAILED, Attempts(image=1))
        assert record.error is not None
        assert (record.error.code, "FAL_KEY" in record.error.message) == ("refused_for_good", True)
        assert await line.videos.json("/admin/ledger") == []


async def test_inputs_that_the_model_refuses_end_the_stage_with_its_reason(
    client: Client, tmp_path: Path
) -> None:
    """Another generation would have the same ones."""
    async with working(client, tmp_path, **FAL, fal_input='{"duration": "99"}') as line:
        record = await line.run()
        assert (record.status, record.attempts) == (Status.FAILED, Attempts(image=1, video=1))
        assert record.error is not None
        assert record.error.code == "refused_for_good"
        assert record.error.message.startswith("duration: ")
