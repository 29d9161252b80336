"""A job's local activities: its record is written, and its requests go together."""

import asyncio
import threading
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import pytest
from pydantic import SecretStr
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, Interceptor, OutboundInterceptor, StartWorkflowInput
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
from shared.semaphore import client as client_module
from shared.semaphore.messages import RunRef, SlotRequest, semaphore_id
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


async def test_a_store_that_is_away_stops_no_job(tmp_path: Path) -> None:
    activities, disk = state(tmp_path, **given_for("http://127.0.0.1:9"))
    assert await written(activities) == Recorded()
    assert disk._refused == {"state"}


async def test_a_store_that_hangs_stops_no_job(tmp_path: Path, hangs: None) -> None:
    activities, disk = state(tmp_path, **given_for("http://127.0.0.1:9"))
    assert await written(activities) == Recorded()
    assert disk._refused == {"state"}


async def test_what_its_own_run_has_made_known_comes_back(tmp_path: Path) -> None:
    activities, _ = state(tmp_path)
    record = sample_record(new_job_id()).followed(CREATED, "queued")

    def after(one: Record, note: str) -> Record:
        return one.model_copy(update={"version": one.version + 1}).followed(CREATED, note)

    assert await recorded(activities, record) == Recorded()
    known = after(record, "of a task that was not taken")
    assert await recorded(activities, known) == Recorded()
    # Once more, as after an answer that was lost.
    assert await recorded(activities, known) == Recorded()
    own = Recorded(own=known.transitions, attempts=known.attempts)
    assert await recorded(activities, after(record, "otherwise")) == own
    assert await recorded(activities, after(after(record, "otherwise"), "on")) == own


async def test_nothing_comes_behind_a_version_that_is_no_change(tmp_path: Path) -> None:
    """A file that was spoilt so; its job asked again for ever, and kept the slot meanwhile."""
    activities, _ = state(tmp_path)
    record = sample_record(new_job_id()).followed(CREATED, "queued")
    spoilt = record.model_copy(update={"version": 99})
    assert await recorded(activities, spoilt) == Recorded()
    assert await recorded(activities, record) == Recorded()
    assert activities._records.read(record.job_id) == record


async def test_another_runs_record_stands(tmp_path: Path, moto: str) -> None:
    activities, disk = state(tmp_path, **given_for(moto, prefix=new_job_id()))
    record, later = two_runs()
    assert await recorded(activities, later) == Recorded()
    another = RunRef(job_id=later.job_id, run_id=later.run_id)
    assert await recorded(activities, record) == Recorded(another=another)
    assert activities._records.read(record.job_id) == later
    assert disk._refused == set()


async def test_so_does_an_end_of_this_run(tmp_path: Path) -> None:
    activities, _ = state(tmp_path)
    record = sample_record(new_job_id()).followed(CREATED, "queued")
    ended = close_record(record, "terminated")
    assert await recorded(activities, ended) == Recorded()
    later = record.model_copy(update={"version": ended.version + 1}).followed(CREATED, "on")
    assert await recorded(activities, later) == Recorded(end=ended)
    assert activities._records.read(record.job_id) == ended


@pytest.mark.parametrize("stands", [False, True])
async def test_a_job_asks_for_the_slot_unless_its_record_takes_nothing_more(
    tmp_path: Path, stands: bool
) -> None:
    activities, _ = state(tmp_path, requests := Asked())
    record, later = two_runs()
    if stands:
        await recorded(activities, later)
    request = SlotRequest(job_id=record.job_id, run_id=record.run_id, requested_at=CREATED)
    enter = Enter(record=record, request=request)
    entered: Entered = await ActivityEnvironment().run(activities.enter_queue, enter)
    assert entered.recorded.stands is stands
    assert requests.sent == ([] if stands else [request])


def two_runs() -> tuple[Record, Record]:
    """A version of one run, and the next one of another run."""
    record = sample_record(new_job_id(), run_id="one").followed(CREATED, "of one")
    later = record.model_copy(update={"version": record.version + 1, "run_id": "another"})
    return record, later.followed(CREATED, "of another")


class Door(Interceptor):
    """Between the activities and the server: lets calls wait, and fails as many as told."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.open.set()
        self.called = asyncio.Event()
        self.fails = 0
        self.status = RPCStatusCode.UNAVAILABLE

    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:
        return _Held(next, self)


class _Held(OutboundInterceptor):
    def __init__(self, next: OutboundInterceptor, door: Door) -> None:
        super().__init__(next)
        self._door = door

    async def start_workflow(self, input: StartWorkflowInput) -> Any:
        self._door.called.set()
        await self._door.open.wait()
        if self._door.fails > 0:
            self._door.fails -= 1
            raise RPCError("away", self._door.status, b"")
        return await super().start_workflow(input)


@pytest.fixture
async def door() -> Door:
    return Door()


@pytest.fixture
def requests(client: Client, door: Door) -> Requests:
    config = client.config()
    config["interceptors"] = [door]
    return Requests(Client(**config))


def request(name: str) -> SlotRequest:
    return SlotRequest(job_id=name, run_id=str(uuid4()), requested_at=datetime.now(UTC))


def asked(requests: Requests, count: int) -> list[asyncio.Task[None]]:
    """That many requests, in the line as soon as the loop has come round once."""
    asks = (requests.send(request(f"job-{n}"), name=JOB_GATE) for n in range(count))
    return [asyncio.create_task(ask) for ask in asks]


async def signals(client: Client) -> list[list[SlotRequest]]:
    history = await client.get_workflow_handle(semaphore_id(JOB_GATE)).fetch_history()
    sent = []
    for event in history.events:
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED:
            payloads = event.workflow_execution_signaled_event_attributes.input.payloads
            [requests] = await client.data_converter.decode(payloads, [list[SlotRequest]])
            sent.append(requests)
    return sent


async def test_an_idle_line_sends_at_once(requests: Requests, client: Client) -> None:
    await requests.send(request("job-a"), name=JOB_GATE)
    await requests.send(request("job-b"), name=JOB_GATE)
    assert [[each.job_id for each in sent] for sent in await signals(client)] == [
        ["job-a"],
        ["job-b"],
    ]


async def test_what_comes_while_a_signal_is_under_way_goes_together(
    requests: Requests, client: Client, door: Door
) -> None:
    door.open.clear()
    first = asked(requests, 1)
    await door.called.wait()
    rest = asked(requests, 60)
    await asyncio.sleep(0)
    assert not any(task.done() for task in (*first, *rest))
    door.open.set()
    await asyncio.gather(*first, *rest)
    assert [len(sent) for sent in await signals(client)] == [1, 60]


async def test_a_signal_has_a_bound(
    requests: Requests, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "MAX_BATCH", 25)
    await asyncio.gather(*asked(requests, 60))
    sent = await signals(client)
    assert [len(each) for each in sent] == [25, 25, 10]
    assert len({each.run_id for requests in sent for each in requests}) == 60


async def test_a_signal_that_fails_fails_each_request_in_it_and_no_other(
    requests: Requests, client: Client, door: Door
) -> None:
    door.open.clear()
    door.fails = 1
    first = asked(requests, 3)
    await door.called.wait()
    second = asked(requests, 2)
    await asyncio.sleep(0)
    door.open.set()
    results = await asyncio.gather(*first, *second, return_exceptions=True)
    assert [type(result) for result in results] == [TemporalUnavailable] * 3 + [type(None)] * 2
    assert [len(sent) for sent in await signals(client)] == [2]


async def test_one_that_has_run_out_of_time_is_left_out(
    requests: Requests, client: Client, door: Door
) -> None:
    door.open.clear()
    first = asked(requests, 1)
    await door.called.wait()
    late, good = asked(requests, 2)
    await asyncio.sleep(0)
    late.cancel()
    door.open.set()
    await asyncio.gather(*first, good)
    assert [[each.job_id for each in sent] for sent in await signals(client)] == [
        ["job-0"],
        ["job-1"],
    ]


async def test_a_job_waits_for_a_right_that_somebody_has_to_give_us(
    requests: Requests, door: Door
) -> None:
    door.status, door.fails = RPCStatusCode.PERMISSION_DENIED, 1
    [refused] = await asyncio.gather(*asked(requests, 1), return_exceptions=True)
    assert isinstance(refused, TemporalUnavailable)
    assert refused.retryable
    assert "refuses access (away)" in refused.message
