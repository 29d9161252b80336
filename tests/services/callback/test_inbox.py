"""Temporal away: the vendor hears 503, nothing is lost, and order is kept."""

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from services.callback.app import create_app
from services.callback.models import Callback, Fate, TaskStatus
from services.callback.receiver import Receiver
from shared.errors import TemporalUnavailable
from shared.http.client import http_client
from shared.jobs.ids import new_job_id
from tests.services.callback.conftest import (
    Vendor,
    receipts_of,
    receiving,
    settings_for,
    start_job,
    told,
    write_record,
)
from tests.shared.serving import serving
from tests.shared.standins import client_of_nobody
from tests.shared.waiting import eventually


class Away:
    """A client of a server that isn't there, until it is."""

    def __init__(self, client: Client, nowhere: Client) -> None:
        self.client = client
        self.nowhere = nowhere
        self.away = True
        self.asked: list[str] = []

    def get_workflow_handle(self, job_id: str) -> Any:
        self.asked.append(job_id)
        client = self.nowhere if self.away else self.client
        return client.get_workflow_handle(job_id)


@pytest.fixture
async def away(client: Client) -> AsyncIterator[Away]:
    """The port is bound, so that nobody else answers there, and nothing listens on it."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield Away(client, await client_of_nobody(bound.getsockname()[1]))


def callback(status: str = "succeed", at: int = 1) -> Callback:
    return Callback(task_id="task-1", task_status=TaskStatus(status), updated_at=at)


async def kept(receiver: Receiver, job_id: str, status: str = "succeed", at: int = 1) -> None:
    """Send one that can only be kept."""
    with pytest.raises(TemporalUnavailable):
        await receiver.receive(f"{job_id}.video.1", callback(status, at))


async def waiting(receiver: Receiver) -> int:
    return await receiver.committer.run(lambda book: book.waiting())


async def emptied(receiver: Receiver) -> None:
    async def look() -> bool:
        return not await waiting(receiver)

    await eventually(look)


@pytest.mark.usefixtures("jobs")
async def test_a_kept_callback_is_told_in_order_after_a_restart(
    client: Client, away: Any, tmp_path: Path
) -> None:
    job_id = new_job_id()
    await start_job(client, job_id)
    async with receiving(tmp_path, away) as first:
        for status, at in (("processing", 1), ("succeed", 2), ("succeed", 2), ("failed", 3)):
            await kept(first, job_id, status, at)
        assert await waiting(first) == 4
        assert await receipts_of(first, job_id) == []

    async with receiving(tmp_path, client) as second:
        await emptied(second)
        receipts = await receipts_of(second, job_id)

    assert [each.task_status for each in await told(client, job_id)] == ["succeed"]
    assert [(each.task_status, each.fate) for each in receipts] == [
        ("processing", "early"),
        ("succeed", "early"),
        ("succeed", "duplicate"),
        ("failed", "out_of_order"),
    ]


@pytest.mark.usefixtures("jobs")
async def test_what_waits_is_told_by_itself_when_temporal_is_back(
    client: Client, away: Any, tmp_path: Path
) -> None:
    job_ids = [new_job_id() for _ in range(20)]
    for job_id in job_ids:
        await start_job(client, job_id, "end when told")
    async with receiving(tmp_path, away) as receiver:
        for job_id in job_ids:
            await kept(receiver, job_id)
        # Tried once more in vain before the server is back, and only for one of them.
        before = len(away.asked)
        await eventually(lambda: _true(len(away.asked) > before))
        assert set(away.asked) == {job_ids[0]}
        away.away = False
        for job_id in job_ids:
            await client.get_workflow_handle(job_id).result()
        await emptied(receiver)
        assert {(await receipts_of(receiver, each))[0].fate for each in job_ids} == {Fate.EARLY}
        assert (await receiver.receive(f"{job_id}.video.1", callback())).fate is Fate.DUPLICATE


async def test_after_one_refusal_the_next_hears_503_without_waiting(
    away: Any, tmp_path: Path
) -> None:
    async with receiving(tmp_path, away) as receiver:
        await kept(receiver, new_job_id())
        asked = len(away.asked)
        await kept(receiver, new_job_id())
        assert len(away.asked) == asked
        assert await waiting(receiver) == 2


async def test_a_job_whose_callback_waits_has_the_next_one_wait_behind_it(
    away: Any, tmp_path: Path
) -> None:
    job_id = new_job_id()
    write_record(tmp_path, job_id)
    async with receiving(tmp_path, away) as receiver:
        await kept(receiver, job_id, "succeed", 1)
        # Alone it would need no Temporal: the record is there.
        await kept(receiver, job_id, "processing", 2)

        assert await waiting(receiver) == 2
        assert await receipts_of(receiver, job_id) == []


@pytest.mark.usefixtures("jobs")
async def test_two_at_the_same_moment_are_one_and_its_duplicate(
    client: Client, tmp_path: Path
) -> None:
    job_id = new_job_id()
    write_record(tmp_path, job_id)
    await start_job(client, job_id)
    async with receiving(tmp_path, client) as receiver:
        rows = await asyncio.gather(
            *(receiver.receive(f"{job_id}.video.1", callback()) for _ in range(10))
        )

    assert sorted(str(row.fate) for row in rows) == ["applied", *["duplicate"] * 9]
    assert len(await told(client, job_id)) == 1


class Refusing:
    """A client whose every call is refused."""

    def __init__(self, status: RPCStatusCode, message: str) -> None:
        self.error = RPCError(message, status, b"")

    def get_workflow_handle(self, job_id: str) -> Any:
        return self

    async def signal(self, *_: object, **__: object) -> None:
        raise self.error

    async def describe(self, **_: object) -> None:
        raise self.error


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (RPCStatusCode.PERMISSION_DENIED, "no"),
        (RPCStatusCode.NOT_FOUND, "Namespace default is not found."),
        (RPCStatusCode.INTERNAL, "no"),
    ],
)
@pytest.mark.parametrize("task_status", ["processing", "succeed"])
async def test_whatever_temporal_refuses_is_kept(
    status: RPCStatusCode, message: str, task_status: str, *, tmp_path: Path
) -> None:
    async with receiving(tmp_path, Refusing(status, message)) as receiver:
        await kept(receiver, new_job_id(), task_status)
        assert await waiting(receiver) == 1


async def _true(answer: bool) -> bool:
    return answer


async def test_with_the_server_gone_the_vendor_hears_503(away: Away, tmp_path: Path) -> None:
    app = create_app(settings_for(tmp_path), away.nowhere)
    async with serving(app) as base, http_client(base) as http:
        vendor = Vendor(http, new_job_id(), tmp_path)
        vendor.record()
        answer = await vendor.send("succeed")
        ready = await http.get("/readyz")
        metrics = (await http.get("/metrics")).text

    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    assert "genvideo_callbacks_waiting 1.0" in metrics
    assert ready.status_code == 503
    assert "temporal" in ready.json()["detail"]
