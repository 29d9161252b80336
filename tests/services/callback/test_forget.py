"""Receipts of jobs that ended longer ago than RETENTION_DAYS are removed, and no others."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from services.callback import receiver as receiver_module
from services.callback.models import Entry, Event, Fate, TaskStatus
from services.callback.receiver import Receiver
from services.callback.settings import CallbackSettings
from shared.jobs.ids import new_job_id
from shared.jobs.states import Status
from tests.services.callback.conftest import SECRET, receipts_of, receiving, write_record
from tests.shared.processes import free_port
from tests.shared.standins import client_of_nobody
from tests.shared.waiting import eventually

NOW = datetime(2026, 6, 1, tzinfo=UTC)
KEPT = timedelta(days=10)
OLD, NEW = NOW - KEPT - timedelta(seconds=1), NOW - KEPT + timedelta(seconds=1)


@pytest.fixture
async def receiver(tmp_path: Path) -> AsyncIterator[Receiver]:
    client = await client_of_nobody(free_port())
    async with receiving(tmp_path, client, now=lambda: NOW) as receiver:
        yield receiver


async def noted(
    receiver: Receiver,
    job_id: str,
    at: datetime = OLD,
    *,
    fate: Fate | None = Fate.APPLIED,
    held_until: float | None = None,
) -> None:
    event = Event(at, f"{job_id}.video.1", "task-1", TaskStatus.SUCCEED)
    entry = Entry(0, event, fate, held_until)
    await receiver.committer.run(lambda book: book.add(entry))


def recorded(data_dir: Path, job_id: str, finished_at: datetime | None) -> None:
    status = Status.RUNNING if finished_at is None else Status.SUCCEEDED
    write_record(data_dir, job_id, status=status, finished_at=finished_at)


async def left(receiver: Receiver, job_id: str) -> int:
    return await receiver.committer.run(lambda book: book.count(job_id))


async def test_only_of_jobs_that_ended_long_ago(receiver: Receiver, tmp_path: Path) -> None:
    gone, ended, recent, still_open, damaged = (new_job_id() for _ in range(5))
    recorded(tmp_path, ended, OLD)
    recorded(tmp_path, recent, NEW)
    recorded(tmp_path, still_open, None)
    recorded(tmp_path, damaged, OLD)
    (tmp_path / "state" / "jobs" / f"{damaged}.json").write_text("{")
    for job_id in (gone, ended, recent, still_open, damaged):
        await noted(receiver, job_id)
    await receiver.forget_old(KEPT)
    assert [await left(receiver, each) for each in (gone, ended)] == [0, 0]
    assert [await left(receiver, each) for each in (recent, still_open, damaged)] == [1, 1, 1]


async def test_what_waits_and_what_came_since_is_kept(receiver: Receiver) -> None:
    job_id = new_job_id()
    await noted(receiver, job_id)
    await noted(receiver, job_id, fate=None)
    await noted(receiver, job_id, fate=Fate.UNKNOWN, held_until=NOW.timestamp() + 60)
    await noted(receiver, job_id, NEW)
    await receiver.forget_old(KEPT)
    assert await left(receiver, job_id) == 3


async def test_open_jobs_hide_none_behind_them(
    receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(receiver_module, "FORGET_AMONG", 2)
    waiting, behind = [new_job_id() for _ in range(3)], new_job_id()
    for job_id in waiting:
        recorded(tmp_path, job_id, None)
        await noted(receiver, job_id)
    await noted(receiver, behind)
    await receiver.forget_old(KEPT)
    assert await left(receiver, behind) == 1
    await receiver.forget_old(KEPT)
    assert await left(receiver, behind) == 0

    # From the beginning again: by now one of the first has ended.
    recorded_again = waiting[0]
    write_record(tmp_path, recorded_again, status=Status.SUCCEEDED, finished_at=OLD, version=99)
    for _ in range(2):
        await receiver.forget_old(KEPT)
    assert [await left(receiver, each) for each in waiting] == [0, 1, 1]


@pytest.mark.parametrize(("days", "count"), [(10, 0), (None, 1)])
async def test_a_receiver_looks_by_itself_where_it_was_told_to(
    tmp_path: Path, days: float | None, count: int
) -> None:
    settings = CallbackSettings(
        data_dir=tmp_path, callback_secret=SecretStr(SECRET), retention_days=days
    )
    receiver = Receiver(settings, await client_of_nobody(free_port()))
    job_id = new_job_id()
    await noted(receiver, job_id)
    async with receiver.running():

        async def as_told() -> bool:
            return len(await receipts_of(receiver, job_id)) == count

        await eventually(as_told)
