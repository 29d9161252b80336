"""A job that is cancelled: in the queue, with a paid image, while its end is recorded."""

import asyncio
import hashlib

import pytest
from temporalio.client import WorkflowExecutionStatus

from shared.jobs.genvideo import GENVIDEO
from shared.jobs.messages import Record
from shared.jobs.states import Status
from shared.store.records import Records
from tests.shared.standins import asset_path
from tests.workflow.pipeline import Pipeline, begun, up_to, why
from tests.workflow.scenarios import rule

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
