"""Which records a semaphore without a memory takes for holders: those that have begun."""

from pathlib import Path
from typing import Any, cast

import pytest
from pydantic import SecretStr
from temporalio.client import Client
from temporalio.testing import ActivityEnvironment

from services.worker.settings.worker import WorkerSettings
from shared.jobs.messages import Record
from shared.jobs.states import Status
from shared.pipeline.draining import DrainActivities
from shared.pipeline.parts import Parts
from shared.pipeline.storage import Storage
from shared.semaphore.messages import OpenRecords, OpenRun
from shared.store.records import RecordStore
from tests.shared.standins import sample_record

SECRET = SecretStr("a-secret-of-32-characters-or-more")


def a_record(number: int, **fields: Any) -> Record:
    record = sample_record(f"job-{number:024x}")
    return record.model_copy(update={"run_id": f"00000000-0000-0000-0000-{number:012x}", **fields})


async def open_records(client: Client, folder: Path) -> OpenRecords:
    settings = WorkerSettings(callback_secret=SECRET, data_dir=folder)
    nowhere = cast(Storage, None)
    drain = DrainActivities(Parts(settings=settings, client=client, vendors={}, storage=nowhere))
    found: OpenRecords = await ActivityEnvironment().run(drain.open_records)
    return found


@pytest.mark.parametrize(
    ("fields", "is_found"),
    [
        ({"status": Status.RUNNING}, True),
        ({"status": Status.QUEUED}, False),
        ({"status": Status.SUCCEEDED}, False),
        ({"status": Status.RUNNING, "namespace": "another"}, False),
    ],
    ids=["running", "queued", "ended", "of another namespace"],
)
async def test_one_of_a_state(
    client: Client, tmp_path: Path, fields: dict[str, Any], is_found: bool
) -> None:
    record = a_record(1, **fields)
    assert RecordStore(tmp_path).write(record)
    found = await open_records(client, tmp_path)
    expected = OpenRun(job_id=record.job_id, run_id=record.run_id, pipeline="genvideo")
    assert found.runs == ((expected,) if is_found else ())
