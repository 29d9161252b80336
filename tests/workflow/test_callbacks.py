"""Callback and poll race for the video's end; whichever comes first wins, the vendor decides."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowHistory

from services.callback.models import Fate
from services.worker import activities, policies
from services.worker.deterministic import stages
from services.worker.models import COLLECT_VIDEO
from services.worker.workflows import GenVideoWorkflow
from shared.jobs.messages import Attempts, KlingDone
from shared.jobs.states import Status, Step
from shared.replay.replaying import replay
from shared.temporal.client import KLING_DONE_SIGNAL, PROGRESS_SIGNAL
from shared.temporal.codec import PayloadKeys
from tests.fixtures.null import NULL
from tests.services.mock_core.serving import HURRY, Json
from tests.workflow.pipeline import Pipeline, working
from tests.workflow.race import fates
from tests.workflow.scenarios import rule
from tests.workflow.wires import over_both_video_apis

NEVER = 3600
SLOWLY = rule("start", "slow", factor=8)
# A minute, so that the worker is sure to have looked before the end; then the vendor hurries.
LONG = rule("start", "slow", extra=60_000)
LATE_SECONDS = 1
CALLBACK_LATE = rule("callback", "delay", seconds=HURRY * LATE_SECONDS)


@pytest.fixture(autouse=True)
def _at_once_on_a_busy_machine_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activities, "AT_ONCE_SECONDS", 30)
    monkeypatch.setattr(stages, "LOCAL_TIMEOUT", timedelta(seconds=60))


@pytest.fixture
async def unpolled(client: Client, tmp_path: Path, vendor_api: Json) -> AsyncIterator[Pipeline]:
    """A pipeline whose worker looks once and then trusts in the callback."""
    async with _polling(client, tmp_path, NEVER, vendor_api) as line:
        yield line


@pytest.fixture
async def polled(client: Client, tmp_path: Path, vendor_api: Json) -> AsyncIterator[Pipeline]:
    async with _polling(client, tmp_path, 0.05, vendor_api) as line:
        yield line


def _polling(
    client: Client, data_dir: Path, seconds: float, vendor_api: Json
) -> AbstractAsyncContextManager[Pipeline]:
    return working(client, data_dir, video_poll_seconds=seconds, **vendor_api)


async def collections(line: Pipeline, job_id: str) -> int:
    """How often the workflow began an activity that waits for the video and stores it: once more
    where a callback woke it, and the file was not to be had at once."""
    history = await line.job(job_id).fetch_history()
    return sum(
        event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED
        and event.activity_task_scheduled_event_attributes.activity_type.name == COLLECT_VIDEO
        for event in history.events
    )


async def looked_at(line: Pipeline, **fields: Any) -> str:
    """A job whose worker has been told once that its video is not there yet; now it soon is."""
    job_id = await line.submit(**fields)
    await line.videos.until("/admin/journal?method=GET&path=video/", bool)
    await line.videos.hurry()
    return job_id


@over_both_video_apis
async def test_a_callback_alone_is_enough(unpolled: Pipeline) -> None:
    await unpolled.videos.arm(LONG)
    record = await unpolled.ended(await looked_at(unpolled))
    assert record.status is Status.SUCCEEDED
    assert await collections(unpolled, record.job_id) == 1
    assert await fates(unpolled, record.job_id, 1) == [Fate.APPLIED]


@pytest.mark.parametrize(
    "trouble",
    [rule("result", "delay", seconds=2.5 * HURRY), rule("result", "reset", often={"first": 1})],
    ids=["a file that takes its time", "a file that is cut off at first"],
)
async def test_what_a_callback_tells_of_and_is_not_to_be_had_at_once_is_collected_as_ever(
    unpolled: Pipeline, monkeypatch: pytest.MonkeyPatch, trouble: Json
) -> None:
    monkeypatch.setattr(activities, "AT_ONCE_SECONDS", policies.AT_ONCE_SECONDS)
    await unpolled.videos.arm(trouble, LONG)
    record = await unpolled.ended(await looked_at(unpolled))
    assert (record.status, record.attempts) == (Status.SUCCEEDED, Attempts(image=1, video=1))
    assert await collections(unpolled, record.job_id) == 2


@over_both_video_apis
async def test_a_lost_callback_is_made_up_for_by_the_poll(polled: Pipeline) -> None:
    await polled.videos.arm(rule("callback", "lose"))
    record = await polled.run()
    assert record.status is Status.SUCCEEDED
    assert await collections(polled, record.job_id) == 1


async def test_a_callback_that_comes_again_and_again_changes_nothing(unpolled: Pipeline) -> None:
    await unpolled.videos.arm(rule("callback", "repeat", times=4), LONG)
    record = await unpolled.ended(await looked_at(unpolled))
    assert (record.status, record.attempts) == (Status.SUCCEEDED, Attempts(image=1, video=1))
    assert await collections(unpolled, record.job_id) == 1
    applied, *others = sorted(await fates(unpolled, record.job_id, 4))
    assert applied is Fate.APPLIED
    assert set(others) <= {Fate.DUPLICATE, Fate.LATE}


@over_both_video_apis
async def test_a_callback_before_the_submits_reply_is_not_lost(unpolled: Pipeline) -> None:
    await unpolled.videos.arm(rule("submit", "delay", seconds=60_000))
    job_id = await unpolled.submit()
    assert await fates(unpolled, job_id, 1) == [Fate.EARLY]
    await unpolled.videos.hurry()
    record = await unpolled.ended(job_id)
    assert (record.status, record.attempts) == (Status.SUCCEEDED, Attempts(image=1, video=1))


async def test_a_callback_after_the_end_is_late_and_changes_nothing(polled: Pipeline) -> None:
    await polled.videos.arm(rule("callback", "delay", seconds=60_000))
    record = await polled.run()
    await polled.videos.hurry()
    assert await fates(polled, record.job_id, 1) == [Fate.LATE]
    assert polled.record(record.job_id) == record


async def test_the_slot_is_kept_while_the_job_waits_for_its_callback(unpolled: Pipeline) -> None:
    """The vendor has long ended, and nobody knows it; yet nobody else's image begins."""
    await unpolled.videos.arm(
        *({**each, "match": {"prompt": "first"}} for each in (LONG, CALLBACK_LATE))
    )
    first = await looked_at(unpolled, prompt="first")
    second = await unpolled.submit("second")
    record = await unpolled.ended(first)
    assert (await unpolled.ended(second)).status is Status.SUCCEEDED
    video = await unpolled.videos.row(f"{first}.video.1")
    following = await unpolled.images.row(f"{second}.image.1")
    assert record.finished_at is not None
    assert video["finished_ts"] < record.finished_at.timestamp() < following["accepted_ts"]
    assert following["accepted_ts"] - video["finished_ts"] >= LATE_SECONDS


@over_both_video_apis
async def test_a_failure_comes_by_callback_too(unpolled: Pipeline) -> None:
    first = {"often": {"attempts": 1}}
    await unpolled.videos.arm({**rule("start", "fail"), **first}, {**LONG, **first})
    record = await unpolled.ended(await looked_at(unpolled))
    assert (record.status, record.attempts) == (Status.SUCCEEDED, Attempts(image=1, video=2))
    assert (await fates(unpolled, record.job_id, 2))[0] is Fate.APPLIED


@over_both_video_apis
async def test_a_callback_is_a_hint_and_no_proof(unpolled: Pipeline) -> None:
    """Told too early that the video has ended, the worker waits until the vendor says so."""
    await unpolled.videos.arm(SLOWLY, rule("callback", "lose"))
    job_id = await unpolled.submit()
    await unpolled.noted(job_id, "video accepted")
    await unpolled.job(job_id).signal(KLING_DONE_SIGNAL, done(job_id, 1))
    record = await unpolled.ended(job_id)
    assert record.status is Status.SUCCEEDED
    row = await unpolled.videos.row(f"{job_id}.video.1")
    assert record.finished_at is not None
    assert record.finished_at.timestamp() >= row["finished_ts"]
    assert Step.VIDEO in record.assets


async def test_another_attempts_callback_wakes_nobody(polled: Pipeline) -> None:
    await polled.videos.arm(SLOWLY, rule("callback", "lose"))
    job_id = await polled.submit()
    await polled.noted(job_id, "video accepted")
    await polled.job(job_id).signal(KLING_DONE_SIGNAL, done(job_id, 2))
    assert (await polled.ended(job_id)).status is Status.SUCCEEDED
    assert await collections(polled, job_id) == 1


async def test_signals_that_do_not_fit_are_dropped(polled: Pipeline) -> None:
    """Told by hand while the job waits, and the job itself replays with them afterwards."""
    unfit: list[list[object]] = [[], [NULL], ["one"], ["one", "more"]]
    await polled.change(paused=True)
    job_id = await polled.submit()
    for name, values in product((KLING_DONE_SIGNAL, PROGRESS_SIGNAL), unfit):
        await polled.job(job_id).signal(name, args=values)
    await polled.change(paused=False)
    assert (await polled.ended(job_id)).status is Status.SUCCEEDED
    history = await polled.job(job_id).fetch_history()
    found = await replay(GenVideoWorkflow, only(history), PayloadKeys())
    assert found == {"replayed": 1, "failures": {}}


async def only(history: WorkflowHistory) -> AsyncIterator[WorkflowHistory]:
    yield history


def done(job_id: str, attempt: int) -> KlingDone:
    external_id = f"{job_id}.video.{attempt}"
    return KlingDone(external_id=external_id, task_id="t", task_status="succeed")
