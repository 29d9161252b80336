"""Receipts in a folder and in a bucket that several receivers share: any of them may die."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from services.callback import receipts as module
from services.callback.app import create_app
from services.callback.models import Fate, NotKept, Receipt
from services.callback.receipts import MOST, Receipts
from services.callback.receiver import Receiver
from shared.errors import TemporalUnavailable
from shared.http.client import http_client
from shared.jobs.ids import new_job_id
from shared.pipeline.callbacks import Reported
from shared.store.chosen import chosen_store
from shared.store.folder import Folder
from shared.store.protocol import Store
from shared.store.records import Records
from tests.fixtures.object_store import settings_for as settings_of_bucket
from tests.fixtures.processes import free_port, serving
from tests.fixtures.small_disk import NewDisk
from tests.services.callback.conftest import (
    SECRET,
    Vendor,
    record_of,
    settings_for,
    start_job,
    told,
)
from tests.shared.standins import client_of_nobody


@pytest.fixture(params=["folder", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "folder":
        return Folder(tmp_path)
    moto: str = request.getfixturevalue("moto")
    return chosen_store(settings_of_bucket(moto, prefix=new_job_id()))


@pytest.fixture
def job_id(store: Store) -> str:
    """A job with a record that waits for its first video."""
    Records(store).write(record_of(job_id := new_job_id()))
    return job_id


@pytest.fixture
async def nobody() -> AsyncIterator[Client]:
    """The port is bound, so that nobody else answers there, and nothing listens on it."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield await client_of_nobody(bound.getsockname()[1])


def callback(status: str = "succeed", at: int = 1) -> Reported:
    return Reported.model_validate({"task_id": "task-1", "task_status": status, "updated_at": at})


def ago(seconds: float) -> Callable[[], datetime]:
    return lambda: datetime.now(UTC) - timedelta(seconds=seconds)


def fates(receiver: Receiver, job_id: str) -> list[tuple[Fate, bool]]:
    return [(each.fate, each.decided) for each in receiver.receipts.of_job(job_id)]


def abandoned(store: Store, job_id: str, *, seconds: float) -> None:
    """A receipt whose receiver was killed before it had decided."""
    event = callback()
    Receipts(store).add(
        Receipt(
            received_at=ago(seconds)(),
            job_id=job_id,
            external_id=f"{job_id}.video.1",
            **event.model_dump(include={"task_id", "task_status", "updated_at"}),
        )
    )


@pytest.mark.usefixtures("jobs")
async def test_one_of_several_receivers_applies_the_same_callback(
    store: Store, job_id: str, client: Client
) -> None:
    await start_job(client, job_id)
    several = [Receiver(store, client, SECRET) for _ in range(4)]
    found = await asyncio.gather(
        *(each.receive(f"{job_id}.video.1", callback()) for each in several * 2)
    )
    assert sorted(found) == [Fate.APPLIED, *[Fate.DUPLICATE] * 7]
    assert sorted(fates(several[0], job_id)) == [(each, True) for each in sorted(found)]
    assert {each.task_id for each in await told(client, job_id)} == {"task-1"}


def test_simultaneous_callbacks_have_a_receipt_each(
    store: Store, job_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    receipts, now = Receipts(store), datetime.now(UTC)
    receipt = Receipt(received_at=now, job_id=job_id, external_id=f"{job_id}.video.1")
    with monkeypatch.context() as before_either:
        before_either.setattr(type(store), "list", lambda *_: ())
        keys = [receipts.add(receipt)[0] for _ in range(2)]

    assert len(set(keys)) == len(receipts.of_job(job_id)) == 2


@pytest.mark.usefixtures("jobs")
@pytest.mark.parametrize(
    ("seconds", "fate"), [(60, Fate.APPLIED), (0, Fate.DUPLICATE)], ids=["long ago", "just now"]
)
async def test_next_callback_signals_the_job_of_a_killed_receiver(
    store: Store, job_id: str, client: Client, *, seconds: float, fate: Fate
) -> None:
    """It may be dead or still at work; a second signal does no harm."""
    await start_job(client, job_id)
    abandoned(store, job_id, seconds=seconds)
    receiver = Receiver(store, client, SECRET)
    assert await receiver.receive(f"{job_id}.video.1", callback()) is fate
    assert [each.task_id for each in await told(client, job_id)] == ["task-1"]
    assert fates(receiver, job_id) == [(Fate.UNKNOWN, False), (fate, True)]


@pytest.mark.usefixtures("jobs")
async def test_without_temporal_each_answer_has_its_receipt_and_nothing_is_kept(
    store: Store, job_id: str, client: Client, *, nobody: Client
) -> None:
    await start_job(client, job_id)
    alone, both = Receiver(store, nobody, SECRET), Receiver(store, client, SECRET)
    for _ in range(2):
        with pytest.raises(TemporalUnavailable):
            await alone.receive(f"{job_id}.video.1", callback())
    assert await told(client, job_id) == []
    assert await both.receive(f"{job_id}.video.1", callback()) is Fate.APPLIED
    unknown = (Fate.UNKNOWN, True)
    assert fates(both, job_id) == [unknown, unknown, (Fate.APPLIED, True)]


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
async def test_refusal_by_temporal_says_nothing_about_the_job(
    status: RPCStatusCode, message: str, task_status: str, *, tmp_path: Path
) -> None:
    client: Any = Refusing(status, message)
    receiver = Receiver(Folder(tmp_path), client, SECRET)
    with pytest.raises(TemporalUnavailable):
        await receiver.receive(f"{new_job_id()}.video.1", callback(task_status))


@pytest.mark.parametrize("damage", [b"", b"{}", b"[1]", b'{"job_id": 1}'])
async def test_damaged_receipt_keeps_its_number(
    store: Store, job_id: str, nobody: Client, *, damage: bytes
) -> None:
    receiver = Receiver(store, nobody, SECRET)
    store.put(f"callbacks/{job_id}/000.json", damage)
    assert await receiver.receive(f"{job_id}.video.1", callback("processing")) is Fate.APPLIED
    assert fates(receiver, job_id) == [(Fate.APPLIED, True)]
    assert {each.key[-8:] for each in store.list(f"callbacks/{job_id}/")} == {
        "000.json",
        "001.json",
    }


async def test_write_with_a_lost_answer_is_recognised(
    store: Store, job_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client of an object store tries again by itself, and finds what it has put."""
    put = type(store).put_if_absent
    monkeypatch.setattr(type(store), "put_if_absent", lambda *given: put(*given) and False)
    abandoned(store, job_id, seconds=0)
    assert len(Receipts(store).of_job(job_id)) == 1


async def test_full_disk_refuses_and_a_later_callback_is_taken(
    small_disk: NewDisk, tmp_path: Path, client: Client
) -> None:
    disk = small_disk(tmp_path / "data")
    app = create_app(settings_for(disk.folder), client)
    async with serving(app) as base, http_client(base) as http:
        vendor = Vendor(http, new_job_id(), disk.folder)
        vendor.record()
        assert (await http.get("/readyz")).status_code == 200
        disk.fill()
        assert (await http.get("/readyz")).json()["detail"] == "store: No space left on device"
        assert (await vendor.send("processing")).json()["code"] == "not_kept"
        disk.free()
        assert await vendor.fate("processing") == "applied"


async def test_unreachable_store_takes_nothing() -> None:
    client = await client_of_nobody(free_port())
    away = chosen_store(settings_of_bucket(f"http://127.0.0.1:{free_port()}"))
    receiver = Receiver(away, client, SECRET)
    with pytest.raises(NotKept):
        await receiver.receive(f"{new_job_id()}.video.1", callback("processing"))


async def test_receipts_of_a_job_are_bounded(
    store: Store, job_id: str, nobody: Client, *, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert MOST >= 100
    monkeypatch.setattr(module, "MOST", 3)
    receiver = Receiver(store, nobody, SECRET)
    for at in range(3):
        await receiver.receive(f"{job_id}.video.1", callback("processing", at))
    with pytest.raises(NotKept):
        await receiver.receive(f"{job_id}.video.1", callback("processing", 3))
    assert [each.updated_at for each in receiver.receipts.of_job(job_id)] == [0, 1, 2]
