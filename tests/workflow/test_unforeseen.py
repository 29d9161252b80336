"""An exception that nobody foresaw, in a local activity: the job drains, records, and ends."""

from typing import Any

import pytest

from services.worker.activities import StageActivities
from shared.jobs.messages import Record
from shared.jobs.states import Status
from shared.store.records import Records
from tests.workflow.pipeline import Pipeline


async def test_in_the_fetch_the_video_comes_by_the_poll(
    line: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def breaks(*_: Any) -> None:
        raise LookupError("nobody foresaw it")

    monkeypatch.setattr(StageActivities, "_fetch_at_once", breaks)
    assert (await line.run()).status is Status.SUCCEEDED
    await line.free()


async def test_in_a_record_a_later_version_catches_up(
    line: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    append = Records.append

    def breaks(store: Records, record: Record) -> bool:
        if record.transitions[-1].note.startswith("video accepted"):
            raise LookupError("nobody foresaw it")
        return append(store, record)

    monkeypatch.setattr(Records, "append", breaks)
    record = await line.run()
    assert record.status is Status.SUCCEEDED
    await line.free()


async def test_as_the_job_enters_the_queue_it_is_tried_until_it_is_in(
    line: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits, tries = line.settings.limits, []

    def breaks(self: object) -> object:
        tries.append(1)
        if len(tries) < 3:
            raise LookupError("nobody foresaw it")
        return limits()

    monkeypatch.setattr(type(line.settings), "limits", breaks)
    assert (await line.run()).status is Status.SUCCEEDED
    assert len(tries) == 3
