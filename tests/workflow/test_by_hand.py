"""What is done to a job by hand: cancelled, terminated, reset, started again, deleted; and to its
activities."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.client import (
    AsyncActivityHandle,
    Client,
    WorkflowExecutionStatus,
    WorkflowFailureError,
)
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError

from shared.jobs.genvideo import GENVIDEO, GenVideoInput
from shared.jobs.messages import Record
from shared.jobs.slots import JOB_GATE
from shared.jobs.states import Status
from shared.pipeline.pipeline import NOT_A_JOB_ID, STARTED_AGAIN
from shared.semaphore import watchdog
from shared.semaphore import workflow as semaphore_workflow
from shared.semaphore.messages import semaphore_id
from shared.store.records import Records
from shared.temporal.client import GET_RECORD_QUERY, WORKFLOW_TASK_TIMEOUT
from tests.fixtures.semaphore import is_drained
from tests.fixtures.temporal import delete, reset
from tests.services.mock_core.serving import Json
from tests.shared.standins import asset_path
from tests.workflow.pipeline import STEPS, Pipeline, begun, check, paid_once, up_to, why
from tests.workflow.scenarios import rule
from tests.workflow.test_vendor_wire import accepting, ended_alone
from tests.workflow.wires import COMFYUI, Wired, wired

CODE = "reset_not_supported"


@pytest.fixture(autouse=True)
def _by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """The round that finds jobs which the semaphore doesn't know is off."""

    async def reminds_nobody(_client: Client) -> int:
        return 0

    monkeypatch.setattr(watchdog, "remind", reminds_nobody)
    monkeypatch.setattr(semaphore_workflow, "DRAIN_HOLD_SECONDS", 0.3)


# A job whose vendor works for it


ENDS: list[tuple[str, str, Json]] = [
    *((how, step, {}) for how in ("cancelled", "terminated") for step in STEPS),
    ("cancelled", "image", COMFYUI),
    ("reset to the first", "image", {}),
    ("reset to the last", "video", {}),
    ("deleted", "video", {}),
    ("deleted with the semaphore", "video", {}),
]
CODES = {"reset": CODE, "deleted": "forgotten"}


async def end(line: Pipeline, job_id: str, how: str) -> None:
    if how == "cancelled":
        await line.job(job_id).cancel()
        return
    if how == "terminated":
        await line.job(job_id).terminate()
    elif how.startswith("reset"):
        run_id = await reset(line.client, job_id, back_to=how.split()[-1])
        await fails_as_reset(line, job_id, run_id)
    else:
        await delete(line.client, job_id)
    if how == "deleted with the semaphore":
        await delete(line.client, semaphore_id(JOB_GATE))
    await is_drained(line.client, job_id)


async def fails_as_reset(line: Pipeline, job_id: str, run_id: str) -> None:
    """The new run has failed; it answers who asks, and replays."""
    with pytest.raises(WorkflowFailureError) as failure:
        await line.job(job_id, run_id=run_id).result()
    assert isinstance(failure.value.cause, ApplicationError)
    assert failure.value.cause.type == CODE
    job = line.job(job_id, run_id=run_id)
    await job.query(GET_RECORD_QUERY, result_type=Record)
    await line.replays(job_id, run_id=run_id)


@pytest.mark.parametrize(("how", "step", "vendor_api"), ENDS)
async def test_slot_is_held_until_the_vendor_has_ended(line: Pipeline, how: str, step: str) -> None:
    """A ComfyUI is cancelled. Kling documents no cancel: its video ends, and is kept if the job's
    record can take it."""
    job_id = await line.held(step, "bad")
    run_id = line.record(job_id).run_id
    following = await line.submit("good")
    await line.slots(lambda view: view.waiting == (following,))
    await end(line, job_id, how)
    if step == "image":
        # A ComfyUI stops at its next step.
        await line.images.until("/admin/journal?method=POST&path=cancel", bool)
    await line.service(step).hurry()
    assert (await line.ended(following)).status is Status.SUCCEEDED
    await line.is_over_before(job_id, step, following)
    record, word = line.record(job_id), how.split()[0]
    check(record)
    assert (record.status, record.run_id) == (
        Status.CANCELLED if word == "cancelled" else Status.FAILED,
        run_id,
    )
    assert why(record).code == CODES.get(word, word)
    [row] = await line.ledger(step, job_id)
    assert row["outcome"] == ("cancelled" if step == "image" else "succeeded")
    if step == "video" and word in ("cancelled", "deleted"):
        assert set(record.assets) == set(GENVIDEO.names)
        assert stored(line, record, "video")
    for each in GENVIDEO.names:
        rows = await line.ledger(each)
        assert paid_once(rows)
        assert len({row["external_id"] for row in rows}) == len(rows)
    await line.free()


# An id that was there before, and what was ended or deleted behind a job's back


async def start_by_hand(line: Pipeline, job_id: str, code: str = STARTED_AGAIN) -> None:
    """The run must fail with the code, and must not have asked any vendor for anything."""
    handle = await line.client.start_workflow(
        GENVIDEO.workflow,
        GenVideoInput(prompt="again", style="ink"),
        id=job_id,
        task_queue=GENVIDEO.name,
        task_timeout=WORKFLOW_TASK_TIMEOUT,
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
    )
    with pytest.raises(WorkflowFailureError) as failure:
        await handle.result()
    assert isinstance(failure.value.cause, ApplicationError)
    assert failure.value.cause.type == code


async def test_terminated_job_is_neither_reset_nor_started_again(line: Pipeline) -> None:
    job_id = await line.held("video", "a cat")
    run_id = line.record(job_id).run_id
    following = await line.submit("next")
    await line.job(job_id).terminate()
    await line.videos.hurry()
    await start_by_hand(line, job_id)
    assert (await line.ended(following)).status is Status.SUCCEEDED
    record = line.record(job_id)
    await fails_as_reset(line, job_id, await reset(line.client, job_id, back_to="last"))
    assert line.record(job_id) == record
    check(record)
    assert (record.status, record.run_id) == (Status.FAILED, run_id)
    assert why(record).code == "terminated"
    for step in GENVIDEO.names:
        prompts = [row["prompt"] for row in await line.ledger(step)]
        assert prompts == ["a cat", "next"]
    await line.free()


async def test_workflow_under_an_id_of_no_job(line: Pipeline) -> None:
    """It ends at once: a run that tried for ever to write its record would keep new jobs out."""
    for job_id in ("my job", "../../x", "semaphore-mine"):
        await start_by_hand(line, job_id, NOT_A_JOB_ID)
    assert (await line.run()).status is Status.SUCCEEDED
    for step in GENVIDEO.names:
        assert [row["prompt"] for row in await line.ledger(step)] == ["a cat"]


# The activities of a job


@pytest_asyncio.fixture(loop_scope="module")
async def wired_line(client: Client, tmp_path: Path) -> AsyncIterator[Wired]:
    async with wired(client, tmp_path) as line:
        yield line


async def pending(line: Pipeline, job_id: str) -> PendingActivityInfo | None:
    found = (await line.job(job_id).describe()).raw_description.pending_activities
    return found[0] if found else None


async def test_activity_failed_by_hand_during_a_submit_keeps_the_slot_for_the_vendor(
    wired_line: Wired,
) -> None:
    bad, following = await accepting(wired_line, "image")
    failure = ApplicationError("by hand", type="by_hand", non_retryable=True)
    await (await by_hand(wired_line, bad)).fail(failure)
    record = await ended_alone(wired_line, "image", bad, following)
    assert (record.status, why(record).code) == (Status.FAILED, "by_hand")


async def test_activity_completed_by_hand_ends_its_job_after_the_vendor(
    wired_line: Wired,
) -> None:
    bad, following = await accepting(wired_line, "video")
    await (await by_hand(wired_line, bad)).complete({"garbage": [1]})
    record = await ended_alone(wired_line, "video", bad, following)
    assert (record.status, why(record).code) == (Status.FAILED, "bad_completion")


async def test_fetch_completed_by_hand_with_nothing_ends_its_job_and_keeps_the_video(
    line: Pipeline,
) -> None:
    """Nothing is a result of the wait for a callback alone."""
    await line.videos.arm(rule("result", "delay", often={"first": 2}, seconds=60_000))
    job_id = await line.submit()
    await line.videos.until("/admin/trace", lambda found: found["recorded"] == 2)
    await (await by_hand(line, job_id)).complete(None)
    record = await line.ended(job_id)
    check(record)
    assert (record.status, why(record).code) == (Status.FAILED, "bad_completion")
    assert stored(line, record, "video")


async def by_hand(line: Pipeline, job_id: str) -> AsyncActivityHandle:
    under_way = await pending(line, job_id)
    assert under_way is not None
    run_id = line.record(job_id).run_id
    return line.client.get_async_activity_handle(
        workflow_id=job_id, run_id=run_id, activity_id=under_way.activity_id
    )


STUCK = rule("start", "stick")


async def was_cancelled(line: Pipeline, job_id: str) -> Record:
    """The record of a job that must have ended as cancelled in every book."""
    record = await line.ended(job_id)
    assert record.status is Status.CANCELLED
    assert why(record).code == "cancelled"
    description = await line.job(job_id).describe()
    assert description.status is WorkflowExecutionStatus.CANCELED
    return record


async def test_in_the_queue(line: Pipeline) -> None:
    await line.images.arm({**STUCK, "match": {"prompt": "holder"}})
    holder = await line.submit("holder")
    await begun(line.images, f"{holder}.image.1")
    waiter = await line.submit("waiter")
    await line.slots(lambda view: view.waiting == (waiter,))
    await line.job(waiter).cancel()
    record = await was_cancelled(line, waiter)
    assert (record.started_at, record.attempts) == (None, up_to("image", 0))
    assert [each.note for each in record.transitions] == ["queued", "cancelled"]
    await line.slots(lambda view: view.waiting_count == 0)
    assert len(await line.ledger("image")) == 1
    await line.job(holder).cancel()
    await was_cancelled(line, holder)


def stored(line: Pipeline, record: Record, step: str) -> bool:
    """Whether the file is there as the record tells."""
    body = asset_path(line.settings.data_dir, record.job_id, GENVIDEO.stage(step)).read_bytes()
    return hashlib.sha256(body).hexdigest() == record.assets[step].sha256


async def test_paid_image_is_kept(line: Pipeline) -> None:
    """It is finished at the vendor, and on its way to us."""
    await line.images.arm(rule("result", "delay", often={"first": 1}, seconds=60_000))
    job_id = await line.submit()
    await line.images.until(
        f"/admin/ledger?external_id={job_id}.image.1", lambda rows: rows and rows[-1]["charged"]
    )
    await line.job(job_id).cancel()
    record = await was_cancelled(line, job_id)
    assert str(record.asset_url).endswith(f"{job_id}/image")
    assert stored(line, record, "image")
    assert "what was paid for: image" in [each.note for each in record.transitions]


@pytest.mark.parametrize("note", ["video stored", "ended with the image alone", "failed"])
async def test_too_late_while_the_end_is_recorded(
    line: Pipeline, monkeypatch: pytest.MonkeyPatch, note: str
) -> None:
    """Every book must show the end that was decided first."""
    writing, go_on = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    append = Records.append

    def slowly(store: object, record: Record) -> bool:
        if record.transitions[-1].note.startswith(note):
            loop.call_soon_threadsafe(writing.set)
            asyncio.run_coroutine_threadsafe(go_on.wait(), loop).result()
        return append(store, record)  # type: ignore[arg-type]

    monkeypatch.setattr(Records, "append", slowly)
    if note != "video stored":
        await line.videos.arm(rule("submit", "refuse", code=1301, status=400))
    degrades = {"on_video_failure": "image"} if "image" in note else {}
    job_id = await line.submit(**degrades)
    await writing.wait()
    await line.job(job_id).cancel()
    go_on.set()
    record = await line.ended(job_id)
    assert record.transitions[-1].note.startswith(note)
    description = await line.job(job_id).describe()
    closed = WorkflowExecutionStatus
    assert description.status is (closed.FAILED if note == "failed" else closed.COMPLETED)
