"""Callback and poll race for the video's end; whichever comes first wins, the vendor decides.

`DECIDED` says how, case by case; docs/callbacks.md says the same.
"""

from datetime import timedelta
from itertools import product
from typing import Any, NamedTuple

import pytest
import pytest_asyncio
from temporalio.api.enums.v1 import EventType

from services.callback.models import Fate
from shared.http.client import http_client
from shared.jobs.genvideo import GENVIDEO
from shared.jobs.messages import Record, StageDone
from shared.jobs.states import Status
from shared.jobs.tokens import callback_url
from shared.pipeline import activities, policies, starting
from shared.temporal.client import PROGRESS_SIGNAL
from tests.fixtures.eventually import eventually
from tests.fixtures.temporal import NULL
from tests.services.mock_core.serving import HURRY, Json
from tests.workflow.conftest import Lines
from tests.workflow.pipeline import LONG, SECRET, Pipeline, once
from tests.workflow.scenarios import FIRST_ATTEMPT, rule
from tests.workflow.wires import KLING

NEVER = 3600
SLOWLY = rule("start", "slow", factor=8)
LOST = rule("callback", "lose")
LATE_SECONDS = 1
ENDS = ("succeed", "failed")


class Outcome(NamedTuple):
    """The job's end, the videos that were paid for, and the fates of the callbacks of an end."""

    status: Status
    videos: int
    fates: tuple[Fate, ...] = ()


WELL = Status.SUCCEEDED
DECIDED: dict[str, Outcome] = {
    "callback first": Outcome(WELL, 1, (Fate.APPLIED,)),
    "callback never": Outcome(WELL, 1),
    "callback twice": Outcome(WELL, 1, (Fate.APPLIED, Fate.DUPLICATE)),
    "failed after succeed": Outcome(WELL, 1, (Fate.APPLIED, Fate.OUT_OF_ORDER)),
    "succeed after failed": Outcome(WELL, 1, (Fate.APPLIED, Fate.OUT_OF_ORDER)),
    "another attempt's callback": Outcome(WELL, 2, (Fate.LATE,)),
    "callback before the submit's reply": Outcome(WELL, 1, (Fate.EARLY,)),
    "late after the end": Outcome(WELL, 1, (Fate.LATE,)),
}


@pytest.fixture(autouse=True)
def _at_once_on_a_busy_machine_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activities, "AT_ONCE_SECONDS", 30)
    monkeypatch.setattr(starting, "LOCAL_TIMEOUT", timedelta(seconds=60))


@pytest_asyncio.fixture(loop_scope="module")
async def unpolled(lines: Lines, vendor_api: Json) -> Pipeline:
    """A pipeline whose worker looks once and then trusts in the callback."""
    return await lines(video_poll_seconds=NEVER, **vendor_api)


@pytest_asyncio.fixture(loop_scope="module")
async def polled(lines: Lines, vendor_api: Json) -> Pipeline:
    return await lines(video_poll_seconds=0.05, **vendor_api)


async def decided(line: Pipeline, case: str, job_id: str) -> Record:
    """The job's record, once it and its receipts are as the case was decided."""
    outcome = DECIDED[case]
    record = await line.ended(job_id)
    assert (record.status, record.attempts["video"]) == (outcome.status, outcome.videos)
    assert await fates(line, job_id, len(outcome.fates)) == list(outcome.fates)
    return record


async def fates(line: Pipeline, job_id: str, count: int) -> list[Fate]:
    """The fates of the callbacks that tell an end, as soon as so many are decided.

    One is unknown until then, and for good where Temporal was too slow: it is sent again.
    """

    async def look() -> list[Fate]:
        async with http_client(line.settings.callback_url) as http:
            rows = (await http.get("/callbacks", params={"job_id": job_id})).json()
        found = [Fate(each["fate"]) for each in rows if each["task_status"] in ENDS]
        return [fate for fate in found if fate is not Fate.UNKNOWN]

    return await eventually(look, lambda found: len(found) >= count)


async def call_back(line: Pipeline, external_id: str, status: str, *, at: int) -> None:
    """A callback as the vendor would send it of this task."""
    task = await line.videos.row(external_id)
    url = callback_url(line.settings.callback_url, SECRET.get_secret_value(), external_id)
    body = {"task_id": task["job_id"], "task_status": status, "updated_at": at}
    async with http_client() as http:
        (await http.post(url, json=body)).raise_for_status()


async def accepted(line: Pipeline, attempt: int = 1) -> str:
    """A job whose video the vendor has, and whose record says so."""
    job_id = await line.submit()
    await line.reaches(job_id, lambda record: f"{job_id}.video.{attempt}" in record.tasks)
    return job_id


async def looked_at(line: Pipeline, **fields: Any) -> str:
    """A job whose worker has been told once that its video is not there yet; now it soon is."""
    job_id = await line.submit(**fields)
    await line.videos.until("/admin/journal?method=GET&path=video/", bool)
    await line.videos.hurry()
    return job_id


async def collections(line: Pipeline, job_id: str) -> int:
    """How often the workflow began an activity that waits for the video and stores it: once more
    where a callback woke it, and the file was not available at once."""
    history = await line.job(job_id).fetch_history()
    return sum(
        event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED
        and event.activity_task_scheduled_event_attributes.activity_type.name == "collect_video"
        for event in history.events
    )


# The race, case by case


async def test_callback_first(unpolled: Pipeline) -> None:
    await sent_while_it_runs(unpolled, "callback first", "succeed")


async def test_callback_twice(unpolled: Pipeline) -> None:
    await sent_while_it_runs(unpolled, "callback twice", "succeed", "again")


async def test_failed_after_succeed(unpolled: Pipeline) -> None:
    await sent_while_it_runs(unpolled, "failed after succeed", "succeed", "failed")


async def test_succeed_after_failed(unpolled: Pipeline) -> None:
    """The vendor's books know of no failure, so none is counted."""
    await sent_while_it_runs(unpolled, "succeed after failed", "failed", "succeed")


async def sent_while_it_runs(line: Pipeline, case: str, *statuses: str) -> None:
    """Callbacks of these, one after the other; `again` is the very same once more."""
    await line.videos.arm(LOST, LONG)
    job_id = await accepted(line)
    for at, status in enumerate(statuses, 1):
        again = status == "again"
        told, moment = (statuses[0], 1) if again else (status, at)
        await call_back(line, f"{job_id}.video.1", told, at=moment)
    await line.videos.hurry()
    await decided(line, case, job_id)


async def test_callback_never(polled: Pipeline) -> None:
    await polled.videos.arm(LOST)
    record = await decided(polled, "callback never", await polled.submit())
    assert await collections(polled, record.job_id) == 1


async def test_callback_of_another_attempt(polled: Pipeline) -> None:
    fails, long = rule("start", "fail", often=FIRST_ATTEMPT), {**LONG, "often": {"attempts": 2}}
    await polled.videos.arm(LOST, fails, long)
    job_id = await accepted(polled, attempt=2)
    await call_back(polled, f"{job_id}.video.1", "succeed", at=1)
    await polled.videos.hurry()
    await decided(polled, "another attempt's callback", job_id)


@pytest.mark.parametrize("vendor_api", [{}, KLING], ids=["service", "kling"])
async def test_callback_before_the_submits_reply(unpolled: Pipeline) -> None:
    await unpolled.videos.arm(rule("submit", "delay", seconds=60_000))
    job_id = await unpolled.submit()
    await fates(unpolled, job_id, 1)
    await unpolled.videos.hurry()
    await decided(unpolled, "callback before the submit's reply", job_id)


async def test_late_after_the_end(polled: Pipeline) -> None:
    await polled.videos.arm(LOST)
    ended = await polled.run()
    await call_back(polled, f"{ended.job_id}.video.1", "failed", at=1)
    assert await decided(polled, "late after the end", ended.job_id) == ended


# What a callback is worth


@pytest.mark.parametrize(
    "trouble",
    [rule("result", "delay", seconds=2.5 * HURRY), rule("result", "reset", often={"first": 1})],
    ids=["a file that takes its time", "a file that is cut off at first"],
)
async def test_unavailable_result_after_a_callback_is_collected_by_the_poll(
    unpolled: Pipeline, monkeypatch: pytest.MonkeyPatch, trouble: Json
) -> None:
    monkeypatch.setattr(activities, "AT_ONCE_SECONDS", policies.AT_ONCE_SECONDS)
    await unpolled.videos.arm(trouble, LONG)
    record = await unpolled.ended(await looked_at(unpolled))
    assert (record.status, record.attempts) == (Status.SUCCEEDED, once())
    assert await collections(unpolled, record.job_id) == 2


async def test_repeated_callback_changes_nothing(unpolled: Pipeline) -> None:
    """One of them is enough, without a poll."""
    await unpolled.videos.arm(rule("callback", "repeat", times=4), LONG)
    record = await unpolled.ended(await looked_at(unpolled))
    assert (record.status, record.attempts) == (Status.SUCCEEDED, once())
    assert await collections(unpolled, record.job_id) == 1
    applied, *others = sorted(await fates(unpolled, record.job_id, 4))
    assert applied is Fate.APPLIED
    assert set(others) <= {Fate.DUPLICATE, Fate.LATE}


async def test_slot_is_held_while_the_job_waits_for_its_callback(unpolled: Pipeline) -> None:
    """The vendor has long ended, and nobody knows it; yet nobody else's image begins."""
    late = rule("callback", "delay", seconds=HURRY * LATE_SECONDS)
    await unpolled.videos.arm(*({**each, "match": {"prompt": "first"}} for each in (LONG, late)))
    first = await looked_at(unpolled, prompt="first")
    second = await unpolled.submit("second")
    record = await unpolled.ended(first)
    assert (await unpolled.ended(second)).status is Status.SUCCEEDED
    video = await unpolled.videos.row(f"{first}.video.1")
    following = await unpolled.images.row(f"{second}.image.1")
    assert record.finished_at is not None
    assert video["finished_ts"] < record.finished_at.timestamp() < following["accepted_ts"]
    assert following["accepted_ts"] - video["finished_ts"] >= LATE_SECONDS


async def test_callback_is_a_hint_and_no_proof(unpolled: Pipeline) -> None:
    """Told too early that the video has ended, the worker waits until the vendor says so."""
    await unpolled.videos.arm(SLOWLY, LOST)
    job_id = await unpolled.submit()
    await unpolled.noted(job_id, "video accepted")
    done = StageDone(external_id=f"{job_id}.video.1", task_id="t", task_status="succeed")
    await unpolled.job(job_id).signal(GENVIDEO.done, done)
    record = await unpolled.ended(job_id)
    assert record.status is Status.SUCCEEDED
    row = await unpolled.videos.row(f"{job_id}.video.1")
    assert record.finished_at is not None
    assert record.finished_at.timestamp() >= row["finished_ts"]
    assert "video" in record.assets


async def test_invalid_signals_are_dropped(polled: Pipeline) -> None:
    """Told by hand while the job waits, and the job itself replays with them afterwards."""
    unfit: list[list[object]] = [[], [NULL], ["one"], ["one", "more"], [b"bytes"]]
    await polled.change(paused=True)
    job_id = await polled.submit()
    for name, values in product((GENVIDEO.done, PROGRESS_SIGNAL), unfit):
        await polled.job(job_id).signal(name, args=values)
    await polled.change(paused=False)
    assert (await polled.ended(job_id)).status is Status.SUCCEEDED
    await polled.replays(job_id)
