"""A record that can't be written stops no job, whether its store refuses or hangs."""

import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest
from pydantic import SecretStr
from temporalio.testing import ActivityEnvironment

from services.worker.acting import records as module
from services.worker.acting.records import StateActivities
from services.worker.models import Recorded
from services.worker.results.disk import Disk
from services.worker.settings.worker import WorkerSettings
from shared.ids import new_job_id
from shared.messages import Record
from shared.records import Records
from tests.fixtures.object_store import given_for
from tests.shared.standins import CREATED, sample_record


def state(data_dir: Path, **given: Any) -> tuple[StateActivities, Disk]:
    secret = SecretStr("a-secret-of-32-characters-or-more")
    settings = WorkerSettings.model_validate(
        {"data_dir": data_dir, "callback_secret": secret, **given}
    )
    activities = StateActivities(settings, disk := Disk(data_dir))
    return activities, disk


async def written(activities: StateActivities) -> Recorded:
    record = sample_record(new_job_id())
    return cast(Recorded, await ActivityEnvironment().run(activities.record_state, record))


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

    async def recorded(one: Record) -> Recorded:
        return cast(Recorded, await ActivityEnvironment().run(activities.record_state, one))

    def after(one: Record, note: str) -> Record:
        return one.model_copy(update={"version": one.version + 1}).followed(CREATED, note)

    assert await recorded(record) == Recorded()
    known = after(record, "of a task that was not taken")
    assert await recorded(known) == Recorded()
    # Once more, as after an answer that was lost.
    assert await recorded(known) == Recorded()
    own = Recorded(own=known.transitions, attempts=known.attempts)
    assert await recorded(after(record, "otherwise")) == own
    assert await recorded(after(after(record, "otherwise"), "on")) == own


async def test_what_is_newer_comes_back_of_any_store(tmp_path: Path, moto: str) -> None:
    activities, disk = state(tmp_path, **given_for(moto, prefix=new_job_id()))
    record = sample_record(new_job_id())
    later = record.model_copy(update={"version": record.version + 1, "run_id": "another"})

    async def recorded(one: Record) -> Recorded:
        return cast(Recorded, await ActivityEnvironment().run(activities.record_state, one))

    assert await recorded(later) == Recorded()
    assert (await recorded(record)).ahead == later.transitions
    assert disk._refused == set()
