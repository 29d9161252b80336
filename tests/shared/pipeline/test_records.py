"""A job's local activities: its record is written, and its requests go together."""

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest
from pydantic import SecretStr
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import ActivityEnvironment

from services.worker.settings.worker import WorkerSettings
from shared.errors import TemporalUnavailable
from shared.jobs.closing import close_record
from shared.jobs.ids import new_job_id
from shared.jobs.messages import Record
from shared.jobs.slots import JOB_GATE
from shared.pipeline import records as module
from shared.pipeline.disk import Disk
from shared.pipeline.messages import Enter, Entered, Recorded
from shared.pipeline.records import Requests, StateActivities
from shared.semaphore import client
from shared.semaphore.client import MAX_BATCH
from shared.semaphore.messages import SlotRequest
from shared.store.records import Records
from tests.fixtures.object_store import given_for
from tests.shared.standins import CREATED, sample_record


class Asked(Requests):
    """Notes who asks for the slot."""

    def __init__(self) -> None:
        self.sent: list[SlotRequest] = []

    async def send(self, request: SlotRequest, *, name: str, limit: int | None = None) -> None:
        self.sent.append(request)


def state(
    data_dir: Path, requests: Asked | None = None, **given: Any
) -> tuple[StateActivities, Disk]:
    secret = SecretStr("a-secret-of-32-characters-or-more")
    settings = WorkerSettings.model_validate(
        {"data_dir": data_dir, "callback_secret": secret, **given}
    )
    disk = Disk(data_dir)
    return StateActivities(settings, disk, requests=requests or Asked()), disk


async def recorded(activities: StateActivities, record: Record) -> Recorded:
    return cast(Recorded, await ActivityEnvironment().run(activities.record_state, record))


async def written(activities: StateActivities) -> Recorded:
    return await recorded(activities, sample_record(new_job_id()))


@pytest.fixture
async def hangs(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """A store that answers once the test is over, and before its loop waits for its threads."""
    over = threading.Event()
    monkeypatch.setattr(Records, "append", lambda *_: over.wait(60))
    monkeypatch.setattr(module, "RECORD_SECONDS", 0.05)
    yield
    over.set()


async def test_unreachable_store_stops_no_job(tmp_path: Path) -> None:
    activities, disk = state(tmp_path, **given_for("http://127.0.0.1:9"))
    assert await written(activities) == Recorded()
    assert disk._refused == {"state"}


async def test_hanging_store_stops_no_job(tmp_path: Path, hangs: None) -> None:
    activities, disk = state(tmp_path, **given_for("http://127.0.0.1:9"))
    assert await written(activities) == Recorded()
    assert disk._refused == {"state"}


async def test_later_version_of_the_same_run_is_returned(tmp_path: Path) -> None:
    activities, _ = state(tmp_path)
    record = sample_record(new_job_id()).followed(CREATED, "queued")

    def after(one: Record, note: str) -> Record:
        return one.model_copy(update={"version": one.version + 1}).followed(CREATED, note)

    assert await recorded(activities, record) == Recorded()
    known = after(record, "of a task that was not taken")
    assert await recorded(activities, known) == Recorded()
    # Once more, as after an answer that was lost.
    assert await recorded(activities, known) == Recorded()
    own = Recorded(present=known)
    assert await recorded(activities, after(record, "otherwise")) == own
    assert await recorded(activities, after(after(record, "otherwise"), "on")) == own


async def test_version_without_a_change_adds_nothing(tmp_path: Path) -> None:
    """A file that was spoilt so; its job asked again for ever, and kept the slot meanwhile."""
    activities, _ = state(tmp_path)
    record = sample_record(new_job_id()).followed(CREATED, "queued")
    spoilt = record.model_copy(update={"version": 99})
    assert await recorded(activities, spoilt) == Recorded()
    assert await recorded(activities, record) == Recorded()
    assert activities._records.read(record.job_id) == record


async def test_record_of_another_run_stays(tmp_path: Path, moto: str) -> None:
    activities, disk = state(tmp_path, **given_for(moto, prefix=new_job_id()))
    record, later = two_runs()
    assert await recorded(activities, later) == Recorded()
    assert await recorded(activities, record) == Recorded(present=later)
    assert activities._records.read(record.job_id) == later
    assert disk._refused == set()


async def test_end_of_this_run_stays(tmp_path: Path) -> None:
    activities, _ = state(tmp_path)
    record = sample_record(new_job_id()).followed(CREATED, "queued")
    ended = close_record(record, "terminated")
    assert await recorded(activities, ended) == Recorded()
    later = record.model_copy(update={"version": ended.version + 1}).followed(CREATED, "on")
    assert await recorded(activities, later) == Recorded(present=ended)
    assert activities._records.read(record.job_id) == ended


@pytest.mark.parametrize("stands", [False, True])
async def test_job_requests_the_slot_unless_its_record_refuses(
    tmp_path: Path, stands: bool
) -> None:
    activities, _ = state(tmp_path, requests := Asked())
    record, later = two_runs()
    if stands:
        await recorded(activities, later)
    request = SlotRequest(job_id=record.job_id, run_id=record.run_id, requested_at=CREATED)
    enter = Enter(record=record, request=request)
    entered: Entered = await ActivityEnvironment().run(activities.enter_queue, enter)
    assert entered.recorded.takes(record.run_id) is not stands
    assert requests.sent == ([] if stands else [request])


def two_runs() -> tuple[Record, Record]:
    """A version of one run, and the next one of another run."""
    record = sample_record(new_job_id(), run_id="one").followed(CREATED, "of one")
    later = record.model_copy(update={"version": record.version + 1, "run_id": "another"})
    return record, later.followed(CREATED, "of another")


class Line(client.Requests):
    """Keeps what it has sent; waits until it may, and fails as often as told."""

    def __init__(self) -> None:
        super().__init__(cast(Client, None))
        self.sent: list[list[str]] = []
        self.open = asyncio.Event()
        self.called = asyncio.Event()
        self.fails = 0

    async def deliver(self, name: str, requests: list[SlotRequest], limit: int | None) -> None:
        self.called.set()
        await self.open.wait()
        if self.fails > 0:
            self.fails -= 1
            raise TemporalUnavailable("away")
        self.sent.append([each.job_id for each in requests])

    async def asked(self, *names: str) -> list[asyncio.Task[None]]:
        """Requests of these jobs, in the line by now."""
        requests = [SlotRequest(job_id=each, run_id=each, requested_at=CREATED) for each in names]
        tasks = [asyncio.create_task(self.send(each, name=JOB_GATE)) for each in requests]
        await self.called.wait()
        return tasks


@pytest.fixture
def line() -> Line:
    return Line()


async def test_idle_sender_sends_at_once(line: Line) -> None:
    line.open.set()
    for name in ("a", "b"):
        await asyncio.gather(*await line.asked(name))
    assert line.sent == [["a"], ["b"]]


async def test_requests_during_a_signal_are_sent_together(line: Line) -> None:
    tasks = [*await line.asked("first"), *await line.asked(*"abc")]
    await asyncio.sleep(0)
    assert not any(task.done() for task in tasks)
    line.open.set()
    await asyncio.gather(*tasks)
    assert line.sent == [["first"], ["a", "b", "c"]]


async def test_size_of_a_signal_is_bounded(line: Line) -> None:
    line.open.set()
    await asyncio.gather(*await line.asked(*map(str, range(2 * MAX_BATCH + 1))))
    assert [len(each) for each in line.sent] == [MAX_BATCH, MAX_BATCH, 1]


async def test_failed_signal_fails_only_its_own_requests(line: Line) -> None:
    line.fails = 1
    tasks = [*await line.asked("a", "b"), *await line.asked("c", "d")]
    await asyncio.sleep(0)
    line.open.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) for result in results] == [TemporalUnavailable] * 2 + [type(None)] * 2
    assert line.sent == [["c", "d"]]


async def test_expired_request_is_left_out(line: Line) -> None:
    [first], [late, good] = await line.asked("first"), await line.asked("late", "good")
    await asyncio.sleep(0)
    late.cancel()
    line.open.set()
    await asyncio.gather(first, good)
    assert line.sent == [["first"], ["good"]]


async def test_job_waits_for_a_missing_permission() -> None:
    class Refusing:
        async def start_workflow(self, *_: object, **__: object) -> None:
            raise RPCError("no", RPCStatusCode.PERMISSION_DENIED, b"")

    requests = Requests(cast(Client, Refusing()))
    with pytest.raises(TemporalUnavailable, match=r"refuses access \(no\)") as refused:
        await requests.send(SlotRequest(job_id="a", run_id="a", requested_at=CREATED), name="job")
    assert refused.value.retryable
