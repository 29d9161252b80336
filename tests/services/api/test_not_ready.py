"""While `/readyz` says that the API is not ready, no record is written and no job is changed; nor
ever is a job of another namespace of Temporal."""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import Client

from services.api.app import create_app
from services.api.parts import Dependencies
from services.api.settings import ApiSettings
from services.api.temporal import Temporal
from shared.errors import NotReady
from shared.http.client import http_client
from shared.jobs.genvideo import GENVIDEO, GenVideoInput
from shared.jobs.ids import new_job_id
from shared.jobs.messages import Record
from shared.jobs.states import Status
from shared.store.folder import Folder
from shared.store.records import Records
from tests.fixtures.eventually import eventually
from tests.fixtures.processes import serving
from tests.fixtures.small_disk import NewDisk
from tests.fixtures.temporal import RETENTION, NewClient
from tests.services.api.conftest import BODY, Api, NewApi, change, ended, terminated
from tests.shared.standins import sample_record, standing_in

LACKS = "temporal: the namespace lacks search attributes: CustomProgress (Int), CustomTag (Keyword)"


async def test_namespace_without_our_attributes_refuses_changes(
    new_api: NewApi, new_client: NewClient
) -> None:
    client = await new_client(namespace=f"test-{uuid4().hex[:12]}")
    async with new_api(client) as api:
        await answers_that_it_is_missing(api)
        await client.workflow_service.register_namespace(
            RegisterNamespaceRequest(
                namespace=client.namespace, workflow_execution_retention_period=RETENTION
            )
        )

        async def lacks() -> str:
            return str((await api.http.get("/readyz")).json()["detail"])

        await eventually(lacks, lambda reason: reason.startswith(LACKS))
        await eventually(lambda: submitted(api), lambda code: code == "temporal_refuses")
        await takes_no_change(api)
    jobs = [await killed(client) for _ in range(2)]
    async with new_api(client, retention_days=1) as api:
        await recovers_nothing(api, *jobs)
        await forgets_nothing(api)


async def killed(client: Client) -> str:
    job_id, job = new_job_id(), GenVideoInput(prompt="p", style="")
    await client.start_workflow(GENVIDEO.workflow, job, id=job_id, task_queue=GENVIDEO.name)
    async with standing_in(client):
        await client.get_workflow_handle(job_id).query("told")
        await terminated(client, job_id)
    return job_id


async def answers_that_it_is_missing(api: Api) -> None:
    answers = [
        await api.http.post("/jobs", json=BODY),
        await api.http.get(f"/jobs/{new_job_id()}"),
        await api.http.get("/slots"),
    ]
    for answer in answers:
        assert (answer.status_code, answer.json()["code"]) == (503, "temporal_refuses")
        assert "retry-after" not in answer.headers
        assert "make namespace" in answer.json()["detail"]


async def submitted(api: Api) -> str:
    """Each part of the server learns of a new namespace by itself."""
    answer = await api.http.post("/jobs", json=BODY)
    assert (answer.status_code, "retry-after" in answer.headers) == (503, False)
    return str(answer.json()["code"])


async def takes_no_change(api: Api) -> None:
    queued, failed = (sample_record(new_job_id(), run_id="run-1") for _ in range(2))
    running = change(sample_record(new_job_id(), run_id="run-1"), status=Status.RUNNING)
    for record, call in (
        (queued, "cancel"),
        (running, "cancel"),
        (ended(failed, Status.FAILED), "retry"),
    ):
        api.write(record)
        answer = await api.http.post(f"/jobs/{record.job_id}/{call}")
        assert (answer.status_code, answer.json()["code"]) == (503, "not_ready")
        assert answer.json()["detail"].startswith(LACKS)
        assert answer.headers["retry-after"] == "1"
        assert api.records.read(record.job_id) == record
        shown = await api.http.get(f"/jobs/{record.job_id}")
        assert shown.json() == record.job().model_dump(mode="json")


async def recovers_nothing(api: Api, unrecorded: str, recorded: str) -> None:
    """Neither for a read nor by a poll, and no job is called unknown."""
    before = set(api.records.job_ids())
    for job_id in (unrecorded, new_job_id()):
        answer = await api.http.get(f"/jobs/{job_id}")
        assert (answer.status_code, answer.json()["code"]) == (503, "not_ready")
    assert set(api.records.job_ids()) == before

    record = api.write(sample_record(recorded))
    api.service.feed.put_record(record)
    with pytest.raises(NotReady):
        await api.service.follower.poll()
    assert api.records.read(recorded) == record


async def forgets_nothing(api: Api) -> None:
    old = datetime.now(UTC) - timedelta(days=2)
    record = change(sample_record(new_job_id()), status=Status.SUCCEEDED, finished_at=old)
    api.write(record)
    api.service.feed.put_record(record)
    with pytest.raises(NotReady):
        await api.service.repairer.remove_expired()
    assert api.records.read(record.job_id) == record


async def test_dependencies_are_asked_at_most_once_a_second() -> None:
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


async def test_api_stays_ready_when_its_records_are_removed(api: Api) -> None:
    await eventually(lambda: api.http.get("/readyz"), lambda answer: answer.status_code == 200)
    shutil.rmtree(api.data_dir / "state")
    assert (await api.http.get("/readyz")).status_code == 200


async def test_full_disk_is_not_ready_and_reads_continue(
    small_disk: NewDisk, tmp_path: Path, client: Client
) -> None:
    # As in a container, where only this is mounted.
    disk = small_disk(tmp_path / "data" / "state")
    app = create_app(ApiSettings(data_dir=tmp_path / "data"), client)
    async with serving(app) as base, http_client(base) as http:
        assert (await http.get("/readyz")).json()["checks"]["disk"] == "ok"
        disk.fill()
        full = await http.get("/readyz")
        assert (full.status_code, full.json()["detail"]) == (503, "disk: No space left on device")
        assert (await http.get("/jobs")).status_code == 200
        await app.state.service.dependencies.require()
        disk.free()
        assert (await http.get("/readyz")).status_code == 200


OTHER = "shop"


def elsewhere() -> Record:
    record = sample_record(new_job_id(), run_id="run-1")
    return record.model_copy(update={"namespace": OTHER})


async def test_job_of_another_namespace_is_shown_and_left_unchanged(
    new_api: NewApi, client: Client
) -> None:
    async with new_api(client, retention_days=1) as api:
        for record, call in (
            (elsewhere(), "cancel"),
            (change(elsewhere(), status=Status.RUNNING), "cancel"),
            (change(elsewhere(), status=Status.FAILED, finished_at=datetime.now(UTC)), "retry"),
        ):
            api.write(record)
            answer = await api.http.post(f"/jobs/{record.job_id}/{call}")
            assert (answer.status_code, answer.json()["code"]) == (409, "other_namespace")
            for name in (OTHER, client.namespace):
                assert name in answer.json()["detail"]

        record = api.write(elsewhere())
        api.service.feed.put_record(record)
        await Temporal(client).start(record.job_id, GenVideoInput(prompt="p", style=""))
        async with standing_in(client):
            await client.get_workflow_handle(record.job_id).query("told")
            await terminated(client, record.job_id)
        for _ in range(3):
            await api.service.follower.poll()
        assert api.records.read(record.job_id) == record
        shown = await api.http.get(f"/jobs/{record.job_id}")
        assert shown.json() == record.job().model_dump(mode="json")

        old = datetime.now(UTC) - timedelta(days=2)
        record = api.write(change(elsewhere(), status=Status.SUCCEEDED, finished_at=old))
        api.service.feed.put_record(record)
        await api.service.repairer.remove_expired()
        assert api.records.read(record.job_id) == record


@pytest.mark.parametrize(
    ("present", "ours", "stands"),
    [("a", "b", True), ("a", "a", False), ("", "b", False), ("a", "", False)],
)
def test_records_of_another_namespace_are_not_overwritten(
    tmp_path: Path, present: str, ours: str, stands: bool
) -> None:
    """Neither a record that names none nor a process that has none is of another one."""
    record = sample_record(new_job_id()).model_copy(update={"namespace": present})
    Records(Folder(tmp_path)).write(record)
    later = change(record, namespace=ours)
    assert Records(Folder(tmp_path), namespace=ours).write(later) is not stands
