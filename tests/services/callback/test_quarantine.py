"""What nobody knows yet waits for its job, and not for ever."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client

from services.callback.books import entries
from services.callback.models import Callback, Fate, Receipt, TaskStatus
from services.callback.receiver import Receiver
from shared.jobs.ids import new_job_id
from shared.jobs.messages import Attempts
from shared.jobs.states import Status
from tests.services.callback.conftest import (
    Vendor,
    receipts_of,
    receiving,
    settings_for,
    start_job,
    told,
    write_record,
)

pytestmark = pytest.mark.usefixtures("jobs")
BEGINNING = datetime(2026, 1, 2, tzinfo=UTC)


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.time = BEGINNING

    def __call__(self) -> datetime:
        return self.time

    def pass_by(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


def callback(task: str = "task-1", status: str = "succeed", at: int = 1, **more: Any) -> Callback:
    return Callback(task_id=task, task_status=TaskStatus(status), updated_at=at, **more)


async def take(receiver: Receiver, job_id: str, sent: Callback) -> Fate | None:
    return (await receiver.receive(f"{job_id}.video.1", sent)).fate


async def looked(receiver: Receiver, job_id: str) -> list[Receipt]:
    """The receipts after one look at the quarantine, and what it let out has been told."""
    await receiver.review_quarantine()
    await receiver.signal_pending()
    return await receipts_of(receiver, job_id)


async def test_an_unknown_one_is_told_when_its_job_is_there(client: Client, tmp_path: Path) -> None:
    job_id = new_job_id()
    async with receiving(tmp_path, client) as receiver:
        assert await take(receiver, job_id, callback()) is Fate.UNKNOWN
        assert [each.quarantined for each in await looked(receiver, job_id)] == [True]

        await start_job(client, job_id)
        write_record(tmp_path, job_id)
        [receipt] = await looked(receiver, job_id)

    assert (receipt.fate, receipt.quarantined) == (Fate.APPLIED, False)
    assert [each.task_status for each in await told(client, job_id)] == ["succeed"]


async def test_an_unknown_one_outlives_the_receiver(client: Client, tmp_path: Path) -> None:
    job_id = new_job_id()
    async with receiving(tmp_path, client) as first:
        await take(first, job_id, callback())
    await start_job(client, job_id)
    write_record(tmp_path, job_id)
    async with receiving(tmp_path, client) as second:
        [receipt] = await looked(second, job_id)
    assert receipt.fate is Fate.APPLIED


async def test_another_task_is_told_when_the_record_names_it(
    client: Client, tmp_path: Path
) -> None:
    job_id = new_job_id()
    await start_job(client, job_id)
    write_record(tmp_path, job_id, tasks={f"{job_id}.video.1": "another"})
    async with receiving(tmp_path, client) as receiver:
        assert await take(receiver, job_id, callback()) is Fate.UNKNOWN
        write_record(tmp_path, job_id, version=2)
        [receipt] = await looked(receiver, job_id)
    assert receipt.fate is Fate.APPLIED
    assert len(await told(client, job_id)) == 1


async def test_an_unknown_one_of_a_job_that_has_ended_is_late(
    client: Client, tmp_path: Path
) -> None:
    job_id = new_job_id()
    async with receiving(tmp_path, client) as receiver:
        await take(receiver, job_id, callback())
        write_record(tmp_path, job_id, status=Status.FAILED)
        [receipt] = await looked(receiver, job_id)
    assert (receipt.fate, receipt.quarantined) == (Fate.LATE, False)


async def test_an_early_one_is_told_at_once_and_stays_early(client: Client, tmp_path: Path) -> None:
    job_id = new_job_id()
    await start_job(client, job_id)
    write_record(tmp_path, job_id, tasks={})
    async with receiving(tmp_path, client) as receiver:
        assert await take(receiver, job_id, callback()) is Fate.EARLY
        [receipt] = await looked(receiver, job_id)
        assert (receipt.fate, receipt.quarantined) == (Fate.EARLY, True)

        write_record(tmp_path, job_id, version=2)
        [receipt] = await looked(receiver, job_id)

    assert (receipt.fate, receipt.quarantined) == (Fate.EARLY, False)
    assert len(await told(client, job_id)) == 1


async def test_an_early_one_of_another_task_than_the_submit_gave_is_unknown(
    client: Client, tmp_path: Path
) -> None:
    job_id = new_job_id()
    await start_job(client, job_id)
    write_record(tmp_path, job_id, tasks={})
    async with receiving(tmp_path, client) as receiver:
        await take(receiver, job_id, callback("of-nobody"))
        write_record(tmp_path, job_id, version=2)
        [receipt] = await looked(receiver, job_id)
    assert (receipt.fate, receipt.quarantined) == (Fate.UNKNOWN, False)


async def test_a_task_of_a_later_attempt_makes_it_late(client: Client, tmp_path: Path) -> None:
    job_id = new_job_id()
    async with receiving(tmp_path, client) as receiver:
        await take(receiver, job_id, callback())
        write_record(tmp_path, job_id, attempts=Attempts(image=1, video=2))
        [receipt] = await looked(receiver, job_id)
    assert receipt.fate is Fate.LATE


@pytest.mark.parametrize("early", [True, False])
async def test_time_runs_out(client: Client, tmp_path: Path, early: bool) -> None:
    job_id, clock = new_job_id(), Clock()
    if early:
        await start_job(client, job_id)
        write_record(tmp_path, job_id, tasks={})
    seconds = settings_for(tmp_path).callback_quarantine_seconds
    async with receiving(tmp_path, client, now=clock) as receiver:
        await take(receiver, job_id, callback())
        clock.pass_by(seconds - 1)
        assert (await looked(receiver, job_id))[0].quarantined
        clock.pass_by(1)
        [receipt] = await looked(receiver, job_id)
        assert (receipt.fate, receipt.quarantined) == (Fate.UNKNOWN, False)

        # Known too late: what is over stays over, and it can be replayed by hand.
        write_record(tmp_path, job_id, version=2)
        assert await looked(receiver, job_id) == [receipt]


async def test_sent_again_it_waits_once_and_is_judged_anew(client: Client, tmp_path: Path) -> None:
    job_id = new_job_id()
    async with receiving(tmp_path, client) as receiver:
        await take(receiver, job_id, callback())
        await start_job(client, job_id)
        write_record(tmp_path, job_id)
        assert await take(receiver, job_id, callback()) is Fate.APPLIED
        receipts = await looked(receiver, job_id)
    assert [each.fate for each in receipts] == [Fate.DUPLICATE, Fate.APPLIED]
    assert len(await told(client, job_id)) == 1


async def test_a_name_that_is_known_by_now_is_refused(client: Client, tmp_path: Path) -> None:
    job_id, other = new_job_id(), new_job_id()
    await start_job(client, job_id)
    write_record(tmp_path, job_id)
    naming = callback(task_info={"external_task_id": f"{other}.video.1"})
    async with receiving(tmp_path, client) as receiver:
        assert await take(receiver, job_id, naming) is Fate.UNKNOWN
        write_record(tmp_path, other)
        [receipt] = await looked(receiver, job_id)
    assert (receipt.fate, receipt.quarantined) == (Fate.REJECTED, False)
    assert await told(client, job_id) == []


async def test_quarantine_holds_no_more_than_its_limit(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entries, "MAX_QUARANTINED", 3)
    async with receiving(tmp_path, client) as receiver:
        for _ in range(5):
            assert await take(receiver, new_job_id(), callback()) is Fate.UNKNOWN
        assert len(await receiver.committer.run(lambda book: book.in_quarantine())) == 3
        noted = await receiver.committer.run(lambda book: book.newest(None, limit=9))
    assert [row.fate for row in noted] == [Fate.UNKNOWN] * 5


async def test_a_job_has_no_more_rows_than_its_limit(
    vendor: Vendor, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(entries, "MAX_NOTED", 3)
    vendor.record()
    await start_job(client, vendor.job_id)
    for at in (3, 2, 1, 0):
        await vendor.fate("processing", at)
    assert len(await vendor.receipts()) == 3
    # There is room for the end all the same, and the metrics know of all.
    assert await vendor.fate("succeed", 4) == "applied"
    assert [row["fate"] for row in await vendor.receipts()][-1] == "applied"
