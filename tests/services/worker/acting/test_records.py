"""A record that can't be written stops no job, whether its store refuses or hangs."""

import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest
from pydantic import SecretStr
from temporalio.testing import ActivityEnvironment

from services.worker.acting import records as module
from services.worker.acting.records import Requests, StateActivities
from services.worker.models import Enter, Entered, Recorded
from services.worker.results.disk import Disk
from services.worker.settings.worker import WorkerSettings
from shared.jobs.closing import close_record
from shared.jobs.ids import new_job_id
from shared.jobs.messages import Record
from shared.semaphore.messages import RunRef, SlotRequest
from shared.store.records import Records
from tests.fixtures.object_store import given_for
from tests.shared.standins import CREATED, sample_record


class Asked(Requests):
    """Notes who asks for the slot."""

    def __init__(self) -> None:
        self.sent: list[SlotRequest] = []

    async def send(self, request: SlotRequest) -> None:
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
