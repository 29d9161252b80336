"""Temporal away: the vendor hears 503, nothing is lost, and order is kept."""

import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from services.callback.app import create_app
from services.callback.inbox import Inbox
from services.callback.models import Callback, Fate, Kept, TaskStatus
from services.callback.receipts import Receipts
from services.callback.receiver import Receiver
from shared.errors import TemporalUnavailable
from shared.http import http_client
from shared.ids import new_job_id
from shared.records import RecordStore
from tests.services.callback.conftest import Vendor, settings_for, start_job, told
from tests.shared.serving import serving
from tests.shared.standins import sample_record
from tests.shared.waiting import eventually


class Away:
    """A client of a server that isn't there, until it is."""

    def __init__(self, client: Client, nowhere: Client) -> None:
        self.client = client
        self.nowhere = nowhere
        self.away = True
        self.asked = 0

    def get_workflow_handle(self, job_id: str) -> Any:
        self.asked += 1
        client = self.nowhere if self.away else self.client
        return client.get_workflow_handle(job_id)


async def _lazy(address: str) -> Client:
    return await Client.connect(address, lazy=True, data_converter=pydantic_data_converter)


@pytest.fixture
async def away(client: Client) -> AsyncIterator[Away]:
    """The port is bound, so that nobody else answers there, and nothing listens on it."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{bound.getsockname()[1]}"
        yield Away(client, await _lazy(address))


def callback(status: TaskStatus = TaskStatus.SUCCEED, at: int = 1) -> Callback:
    return Callback(task_id="task-1", task_status=status, updated_at=at)


def kept(job_id: str) -> Kept:
    return Kept(received_at=datetime.now(UTC), external_id=f"{job_id}.video.1", callback=callback())


@pytest.mark.usefixtures("jobs")
async def test_a_kept_callback_is_told_in_order_after_a_restart(
    client: Client, away: Any, tmp_path: Path
) -> None:
    job_id = new_job_id()
    await start_job(client, job_id)
    external = f"{job_id}.video.1"
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
    await second.inbox.load()
    await second.drain()

    assert [each.task_status for each in await told(client, job_id)] == ["succeed"]
    receipts = second.receipts.of(job_id)
    assert [each.task_status for each in receipts] == ["processing", "succeed"]
    assert list(second.inbox.folder.iterdir()) == []


@pytest.mark.usefixtures("jobs")
async def test_the_inbox_empties_by_itself_when_temporal_is_back(
    client: Client, away: Away, tmp_path: Path
) -> None:
    job_id = new_job_id()
    await start_job(client, job_id, "end when told")
    nowhere: Any = away
    receiver = Receiver(settings_for(tmp_path), nowhere)
    async with receiver.running():
        with pytest.raises(TemporalUnavailable):
            await receiver.receive(f"{job_id}.video.1", callback())
        # Tried at least once in vain before the server is back.
        await eventually(lambda: _true(away.asked >= 2))
        away.away = False
        await client.get_workflow_handle(job_id).result()
        await eventually(lambda: _true(not len(receiver.inbox)))

    assert [each.fate for each in receiver.receipts.of(job_id)] == [Fate.EARLY]


@pytest.mark.usefixtures("jobs")
async def test_what_an_earlier_process_kept_is_told_without_being_asked(
    client: Client, tmp_path: Path
) -> None:
    job_id = new_job_id()
    await start_job(client, job_id, "end when told")
    inbox = Inbox(tmp_path)
    await inbox.load()
    await inbox.put(kept(job_id))

    receiver = Receiver(settings_for(tmp_path), client)
    async with receiver.running():
        await client.get_workflow_handle(job_id).result()
        await eventually(lambda: _true(not len(receiver.inbox)))


async def test_a_job_whose_callback_waits_has_the_next_one_wait_behind_it(
    away: Away, tmp_path: Path
) -> None:
    job_id = new_job_id()
    external = f"{job_id}.video.1"
    running = sample_record(job_id).model_copy(update={"tasks": {external: "task-1"}})
    RecordStore(tmp_path).write(running)
    nowhere: Any = away
    receiver = Receiver(settings_for(tmp_path), nowhere)
    await receiver.inbox.load()
    with pytest.raises(TemporalUnavailable):
        await receiver.receive(external, callback(TaskStatus.SUCCEED, 1))

    # Alone it would need no Temporal: the record is there.
    with pytest.raises(TemporalUnavailable):
        await receiver.receive(external, callback(TaskStatus.PROCESSING, 2))

    assert [each.callback.task_status for _, each in receiver.inbox.items()] == [
        "succeed",
        "processing",
    ]
    assert receiver.receipts.of(job_id) == []


async def _true(answer: bool) -> bool:
    return answer


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


async def test_with_the_server_gone_the_vendor_hears_503(away: Away, tmp_path: Path) -> None:
    app = create_app(settings_for(tmp_path), away.nowhere)
    async with serving(app) as base, http_client(base) as http:
        vendor = Vendor(http, new_job_id(), tmp_path)
        vendor.record()
        answer = await vendor.send("succeed")
        ready = await http.get("/readyz")

    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    assert len(list((tmp_path / "callbacks" / "inbox").glob("*.json"))) == 1
    assert ready.status_code == 503
    assert "temporal" in ready.json()["detail"]


def test_a_torn_line_costs_only_itself(tmp_path: Path) -> None:
    job_id = new_job_id()
    receipts = Receipts(tmp_path)
    first = kept(job_id)
    receipts.add(first.receipt(Fate.APPLIED))
    path = receipts.folder / f"{job_id}.jsonl"
    path.write_bytes(path.read_bytes() + b'{"received_at": "20')

    receipts.add(first.receipt(Fate.DUPLICATE))

    assert [each.fate for each in receipts.of(job_id)] == [Fate.APPLIED, Fate.DUPLICATE]
