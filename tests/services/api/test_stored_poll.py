"""What a feed over a store asks of it, without a Temporal."""

from datetime import datetime
from pathlib import Path
from typing import Any, cast

import pytest
from temporalio.client import WorkflowExecutionStatus

from services.api.feed.hub import Hub
from services.api.feed.poll import JobPoll
from services.api.feed.stored import StoredPoll
from shared.jobs.ids import new_job_id
from shared.jobs.messages import Record
from shared.store.folder import Folder
from shared.store.protocol import Held, StoreAway
from shared.store.records import Records
from tests.services.api.conftest import READY, ended
from tests.shared.standins import CREATED, sample_record

NOBODY = cast(Any, None)


class Away(Records):
    """Takes nothing."""

    tried = 0

    def write(self, record: Record) -> bool:
        self.tried += 1
        raise StoreAway("the store does not answer")


async def test_a_store_that_takes_nothing_is_asked_once_a_round(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing(_: object) -> None:
        pass

    monkeypatch.setattr(JobPoll, "poll", nothing)
    away = Away(Folder(tmp_path))
    feed = StoredPoll(NOBODY, NOBODY, records=away, dependencies=READY)
    for _ in range(3):
        await feed._write(sample_record(new_job_id()))
    assert (away.tried, len(feed._unwritten)) == (3, 3)
    await feed.poll()
    assert (away.tried, len(feed._unwritten)) == (4, 3)


async def test_a_sweep_reads_what_is_known_by_a_list_alone(tmp_path: Path) -> None:
    records = Records(Folder(tmp_path))
    feed = StoredPoll(NOBODY, NOBODY, Hub(), records=records, dependencies=READY)
    record = ended(sample_record(new_job_id()))
    records.write(record)
    feed.put(record.job().model_copy(update={"version": 0}))
    await feed.sweep()
    known = feed.index.get(record.job_id)
    assert known is not None
    assert (known.version, known.status) == (record.version, record.status)


class Listed:
    """Stands for Temporal, whose list has a job that runs."""

    def __init__(self, job_id: str) -> None:
        self.id, self.status = job_id, WorkflowExecutionStatus.RUNNING
        self.start_time, self.close_time = CREATED, None

    async def changed_jobs(self, since: datetime) -> list["Listed"]:
        return [self]


async def test_a_new_process_shows_a_job_as_its_record_has_it_and_never_as_a_list_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing(_: object) -> None:
        pass

    monkeypatch.setattr(JobPoll, "_note_holders", nothing)
    records, hub = Records(Folder(tmp_path)), Hub()
    record = sample_record(new_job_id()).followed(CREATED, "on its way")
    records.write(record)
    feed = StoredPoll(
        cast(Any, Listed(record.job_id)), NOBODY, hub, records=records, dependencies=READY
    )
    await feed.poll()
    assert feed.index.change == 1
    known = feed.index.get(record.job_id)
    assert known is not None
    assert known.version == record.version


class Counted(Records):
    """Counts what is read."""

    asked = 0

    def raw(self, job_id: str) -> Held | None:
        self.asked += 1
        return super().raw(job_id)


async def test_a_look_up_reads_once(tmp_path: Path) -> None:
    records = Counted(Folder(tmp_path))
    feed = StoredPoll(NOBODY, NOBODY, Hub(), records=records, dependencies=READY)
    record = ended(sample_record(new_job_id()))
    Records(Folder(tmp_path)).write(record)
    feed._due[record.job_id] = None
    await feed._look_up(record.job_id)
    known = feed.index.get(record.job_id)
    assert known is not None
    assert (known.status, records.asked, feed._as_read) == (record.status, 1, {})
