"""A job that is cancelled, or ended from outside: what it leaves, and when the slot is free."""

import asyncio
import hashlib

import pytest
from temporalio.client import WorkflowExecutionStatus

from shared.jobs.genvideo import GENVIDEO
from shared.jobs.messages import Record
from shared.jobs.states import Status
from shared.semaphore import workflow as semaphore_workflow
from shared.store.records import Records
from tests.fixtures.semaphore import is_drained
from tests.shared.standins import asset_path
from tests.workflow.pipeline import (
    STEPS,
    Pipeline,
    begun,
    check,
    up_to,
    why,
)
from tests.workflow.scenarios import rule
from tests.workflow.wires import COMFYUI

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


@pytest.mark.parametrize("vendor_api", [{}, COMFYUI], ids=["service", "comfyui"])
async def test_image_stage_cancels_at_the_vendor(line: Pipeline) -> None:
    await line.images.arm({**STUCK, "match": {"prompt": "bad"}})
    job_id = await line.submit("bad")
    await begun(line.images, f"{job_id}.image.1")
    following = await line.submit("good")
    await line.job(job_id).cancel()
    await was_cancelled(line, job_id)
    row = await line.images.row(f"{job_id}.image.1")
    assert (row["outcome"], row["charged"]) == ("cancelled", False)
    assert (await line.ended(following)).status is Status.SUCCEEDED
    await line.is_over_before(job_id, "image", following)


async def test_video_stage_holds_the_slot_until_the_vendor_ends(line: Pipeline) -> None:
    """Kling documents no cancel; what it works at must end before the next job may begin."""
    job_id = await line.held("video", "bad")
    following = await line.submit("good")
    await line.job(job_id).cancel()
    await line.videos.hurry()
    record = await was_cancelled(line, job_id)
    row = await line.videos.row(f"{job_id}.video.1")
    assert row["outcome"] == "succeeded"
    assert set(record.assets) == set(GENVIDEO.names)
    assert str(record.asset_url).endswith(f"{job_id}/video")
    assert stored(line, record, "video")
    assert (await line.ended(following)).status is Status.SUCCEEDED
    await line.is_over_before(job_id, "video", following)


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


@pytest.mark.parametrize("stage", STEPS)
async def test_terminated_job_is_closed_and_its_vendor_cleared(
    line: Pipeline, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    monkeypatch.setattr(semaphore_workflow, "DRAIN_HOLD_SECONDS", 0.3)
    service = line.images if stage == "image" else line.videos
    job_id = await line.held(stage, "bad")
    following = await line.submit("good")
    await line.job(job_id).terminate()
    await is_drained(line.client, job_id)
    if stage == "video":
        await line.videos.hurry()
    assert (await line.ended(following)).status is Status.SUCCEEDED
    record = line.record(job_id)
    check(record)
    assert record.status is Status.FAILED
    assert why(record).code == "terminated"
    row = await service.row(f"{job_id}.{stage}.1")
    assert row["outcome"] == ("cancelled" if stage == "image" else "succeeded")
    await line.is_over_before(job_id, stage, following)
