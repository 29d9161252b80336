"""A record that can't be written stops no job, whether its store refuses or hangs."""

import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest
from pydantic import SecretStr
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import ActivityEnvironment

from services.worker.acting import records as module
from services.worker.acting.records import StateActivities
from services.worker.models import Recorded
from services.worker.results.disk import Disk
from services.worker.settings.worker import WorkerSettings
from shared.jobs.ids import new_job_id
from shared.jobs.messages import Record
from shared.store.records import Records
from tests.fixtures.object_store import given_for
from tests.shared.standins import CREATED, sample_record


class Server:
    """Stands for the client, and for the one run that is asked for; away without a status."""

    def __init__(self, status: WorkflowExecutionStatus | None = None) -> None:
        self.status = status
        self.asked: list[tuple[str, str]] = []

    def get_workflow_handle(self, workflow_id: str, *, run_id: str) -> "Server":
        self.asked.append((workflow_id, run_id))
        return self

    async def describe(self) -> "Server":
        if self.status is None:
            raise RPCError("away", RPCStatusCode.UNAVAILABLE, b"")
        return self


def state(
    data_dir: Path, server: Server | None = None, **given: Any
) -> tuple[StateActivities, Disk]:
    secret = SecretStr("a-secret-of-32-characters-or-more")
    settings = WorkerSettings.model_validate(
        {"data_dir": data_dir, "callback_secret": secret, **given}
    )
    client = cast(Client, server or Server())
    activities = StateActivities(settings, disk := Disk(data_dir), client=client)
    return activities, disk


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


async def test_what_is_newer_comes_back_of_any_store(tmp_path: Path, moto: str) -> None:
    server = Server(WorkflowExecutionStatus.RUNNING)
    activities, disk = state(tmp_path, server, **given_for(moto, prefix=new_job_id()))
    record, later = two_runs()
    assert await recorded(activities, later) == Recorded()
    assert (await recorded(activities, record)).ahead == later.transitions
    assert disk._refused == set()
    assert server.asked == [(record.job_id, record.run_id)]


async def test_a_run_that_was_reset_follows_nobody(tmp_path: Path) -> None:
    activities, _ = state(tmp_path, Server(WorkflowExecutionStatus.TERMINATED))
    record, later = two_runs()
    assert await recorded(activities, later) == Recorded()
    assert await recorded(activities, record) == Recorded()
    assert activities._records.read(record.job_id) == later


async def test_nobody_is_followed_unasked(tmp_path: Path) -> None:
    activities, _ = state(tmp_path)
    record, later = two_runs()
    assert await recorded(activities, later) == Recorded()
    with pytest.raises(RPCError):
        await recorded(activities, record)


def two_runs() -> tuple[Record, Record]:
    """A version of one run, and the next one of another run."""
    record = sample_record(new_job_id()).followed(CREATED, "of one")
    later = record.model_copy(update={"version": record.version + 1, "run_id": "another"})
    return record, later.followed(CREATED, "of another")
