"""While `/readyz` says that the API is not ready, no record is written and no job is changed."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import Client

from services.api.app import create_app
from services.api.parts import Dependencies
from services.api.settings import ApiSettings
from shared.errors import NotReady
from shared.http.client import http_client
from shared.jobs.genvideo import GENVIDEO, GenVideoInput
from shared.jobs.ids import new_job_id
from shared.jobs.messages import Record
from shared.jobs.states import Status
from tests.fixtures.eventually import eventually
from tests.fixtures.processes import serving
from tests.fixtures.small_disk import NewDisk
from tests.fixtures.temporal import RETENTION, NewClient
from tests.services.api.conftest import Api, NewApi, change, ended
from tests.shared.standins import sample_record, standing_in

LACKS = "temporal: the namespace lacks search attributes: CustomProgress (Int), CustomTag (Keyword)"


@pytest.fixture
async def bare(new_client: NewClient) -> Client:
    """A client of a namespace without our search attributes."""
    name = f"test-{uuid4().hex[:12]}"
    client = await new_client(namespace=name)
    await client.workflow_service.register_namespace(
        RegisterNamespaceRequest(namespace=name, workflow_execution_retention_period=RETENTION)
    )

    async def there() -> bool:
        return [each async for each in client.list_workflows("", limit=1)] == []

    await eventually(there)
    return client


@pytest.fixture
async def unready(new_api: NewApi, bare: Client) -> AsyncIterator[Api]:
    """An API over it."""
    async with new_api(bare) as api:
        yield api


async def killed(client: Client) -> Record:
    """A job of that namespace that was terminated, as its record would have it before."""
    job_id = new_job_id()
    handle = await client.start_workflow(
        GENVIDEO.workflow, GenVideoInput(prompt="p", style=""), id=job_id, task_queue=GENVIDEO.name
    )
    async with standing_in(client):
        await handle.query("told")
        await handle.terminate()
    return sample_record(job_id, run_id=handle.result_run_id or "")


def running() -> Record:
    return change(sample_record(new_job_id(), run_id="run-1"), status=Status.RUNNING)


@pytest.mark.parametrize("record", [sample_record(new_job_id(), run_id="run-1"), running()])
async def test_no_cancel_is_taken(unready: Api, record: Record) -> None:
    unready.write(record)

    answer = await unready.http.post(f"/jobs/{record.job_id}/cancel")

    assert (answer.status_code, answer.json()["code"]) == (503, "not_ready")
    assert answer.json()["detail"].startswith(LACKS)
    assert answer.headers["retry-after"] == "1"
    assert unready.records.read(record.job_id) == record
    shown = await unready.http.get(f"/jobs/{record.job_id}")
    assert shown.json() == record.job().model_dump(mode="json")


async def test_no_retry_is_taken(unready: Api) -> None:
    record = unready.write(ended(sample_record(new_job_id()), Status.FAILED))
    answer = await unready.http.post(f"/jobs/{record.job_id}/retry")
    assert (answer.status_code, answer.json()["code"]) == (503, "not_ready")
    assert answer.headers["retry-after"] == "1"


async def test_a_read_makes_no_record_and_calls_no_job_unknown(unready: Api) -> None:
    record = await killed(unready.service.client)
    for job_id in (record.job_id, new_job_id()):
        answer = await unready.http.get(f"/jobs/{job_id}")
        assert (answer.status_code, answer.json()["code"]) == (503, "not_ready")
    assert list(unready.records.job_ids()) == []


async def test_a_poll_writes_nothing(unready: Api) -> None:
    client, feed = unready.service.client, unready.service.feed
    record = await killed(client)
    unready.write(record)
    feed.put_record(record)
    await eventually(lambda: _listed(client))
    with pytest.raises(NotReady):
        await unready.service.follower.poll()

    assert unready.records.read(record.job_id) == record


async def _listed(client: Client) -> list[object]:
    return [each async for each in client.list_workflows("ExecutionStatus='Terminated'")]


async def test_nothing_is_forgotten(new_api: NewApi, bare: Client) -> None:
    async with new_api(bare, retention_days=1) as api:
        old = datetime.now(UTC) - timedelta(days=2)
        record = change(sample_record(new_job_id()), status=Status.SUCCEEDED, finished_at=old)
        api.write(record)
        api.service.feed.put_record(record)
        with pytest.raises(NotReady):
            await api.service.repairer.remove_expired()
        assert api.records.read(record.job_id) == record


async def test_the_dependencies_are_asked_once_a_second_however_many_want_to_know() -> None:
    asked = 0

    async def check() -> str | None:
        nonlocal asked
        asked += 1
        return None

    dependencies = Dependencies({"temporal": check})
    for _ in range(3):
        await dependencies.require()
    assert asked == 1
    assert await dependencies.reasons() == {"temporal": None}
    assert asked == 2


async def test_on_a_full_disk_it_is_not_ready_and_what_needs_no_room_goes_on(
    small_disk: NewDisk, tmp_path: Path, client: Client
) -> None:
    disk = small_disk(tmp_path / "data")
    app = create_app(ApiSettings(data_dir=disk.folder), client)
    async with serving(app) as base, http_client(base) as http:
        assert (await http.get("/readyz")).json()["checks"]["disk"] == "ok"
        disk.fill()
        full = await http.get("/readyz")
        assert (full.status_code, full.json()["detail"]) == (503, "disk: No space left on device")
        assert (await http.get("/jobs")).status_code == 200
        await app.state.service.dependencies.require()
        disk.free()
        assert (await http.get("/readyz")).status_code == 200
