"""Temporal away: the vendor hears 503, nothing is lost, and order is kept."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from services.callback.inbox import Inbox
from services.callback.models import Callback, Fate, Kept, TaskStatus
from services.callback.receipts import Receipts
from services.callback.receiver import Receiver
from shared.errors import TemporalUnavailable
from shared.ids import new_job_id
from tests.services.callback.conftest import Vendor, settings_for, start_job, told


class Away:
    """A client whose server can be away."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.away = True

    def get_workflow_handle(self, job_id: str) -> Any:
        if self.away:
            raise RPCError("away", RPCStatusCode.UNAVAILABLE, b"")
        return self.client.get_workflow_handle(job_id)


def callback(status: TaskStatus = TaskStatus.SUCCEED, at: int = 1) -> Callback:
    return Callback(task_id="task-1", task_status=status, updated_at=at)


@pytest.mark.usefixtures("jobs")
async def test_a_kept_callback_is_told_in_order_after_a_restart(
    client: Client, tmp_path: Path
) -> None:
    job_id = new_job_id()
    await start_job(client, job_id)
    external = f"{job_id}.video.1"
    away: Any = Away(client)
    first = Receiver(settings_for(tmp_path), away)
    await first.inbox.load()
    for status, at in (
        (TaskStatus.PROCESSING, 1),
        (TaskStatus.SUCCEED, 2),
        (TaskStatus.SUCCEED, 2),
    ):
        with pytest.raises(TemporalUnavailable):
            await first.receive(external, callback(status, at))
    assert len(first.inbox) == 2

    second = Receiver(settings_for(tmp_path), client)
    async with second.running():
        while len(second.inbox):
            await asyncio.sleep(0.01)

    assert [each.task_status for each in await told(client, job_id)] == ["succeed"]
    receipts = second.receipts.of(job_id)
    assert [each.task_status for each in receipts] == ["processing", "succeed"]
    assert list(second.inbox.folder.iterdir()) == []


@pytest.mark.usefixtures("jobs")
async def test_the_inbox_empties_by_itself_when_temporal_is_back(
    client: Client, tmp_path: Path
) -> None:
    job_id = new_job_id()
    await start_job(client, job_id)
    away: Any = Away(client)
    receiver = Receiver(settings_for(tmp_path), away)
    async with receiver.running():
        with pytest.raises(TemporalUnavailable):
            await receiver.receive(f"{job_id}.video.1", callback())
        away.away = False
        while len(receiver.inbox):
            await asyncio.sleep(0.01)

    assert len(await told(client, job_id)) == 1


async def test_a_crash_between_receipt_and_drop_makes_no_second_receipt(tmp_path: Path) -> None:
    job_id = new_job_id()
    kept = Kept(received_at=datetime.now(UTC), external_id=f"{job_id}.video.1", callback=callback())
    inbox = Inbox(tmp_path)
    await inbox.load()
    await inbox.put(kept)
    Receipts(tmp_path).add(kept.receipt(Fate.APPLIED))

    nobody: Any = None
    receiver = Receiver(settings_for(tmp_path), nobody)
    await receiver.inbox.load()
    await receiver.drain()

    assert len(receiver.inbox) == 0
    assert len(receiver.receipts.of(job_id)) == 1


async def test_with_the_server_gone_the_vendor_hears_503(vendor: Vendor, client: Client) -> None:
    vendor.record()
    app_client: Any = Away(client)
    receiver = Receiver(settings_for(vendor.data_dir), app_client)
    await receiver.inbox.load()
    with pytest.raises(TemporalUnavailable) as caught:
        await receiver.receive(f"{vendor.job_id}.video.1", callback())
    assert caught.value.http_status == 503
    assert len(receiver.inbox) == 1


def test_a_torn_line_costs_only_itself(tmp_path: Path) -> None:
    job_id = new_job_id()
    receipts = Receipts(tmp_path)
    kept = Kept(received_at=datetime.now(UTC), external_id=f"{job_id}.video.1", callback=callback())
    receipts.add(kept.receipt(Fate.APPLIED))
    path = receipts.folder / f"{job_id}.jsonl"
    path.write_bytes(path.read_bytes() + b'{"received_at": "20')

    receipts.add(kept.receipt(Fate.DUPLICATE))

    assert [each.fate for each in receipts.of(job_id)] == [Fate.APPLIED, Fate.DUPLICATE]
