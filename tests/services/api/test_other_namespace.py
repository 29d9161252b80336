"""A job whose workflow runs in another namespace of Temporal: it is shown, and left alone."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from temporalio.client import Client

from services.api.temporal import Temporal
from shared.jobs.genvideo import GenVideoInput
from shared.jobs.ids import new_job_id
from shared.jobs.messages import Record
from shared.jobs.states import Status
from shared.store.folder import Folder
from shared.store.records import Records
from tests.fixtures.eventually import eventually
from tests.services.api.conftest import Api, NewApi, change, ended
from tests.shared.standins import sample_record, standing_in

OTHER = "shop"


def elsewhere(job_id: str | None = None) -> Record:
    """A queued job of the other namespace."""
    record = sample_record(job_id or new_job_id(), run_id="run-1")
    return record.model_copy(update={"namespace": OTHER})


@pytest.mark.parametrize("status", [Status.QUEUED, Status.RUNNING])
async def test_it_is_shown_and_not_cancelled(api: Api, status: Status) -> None:
    record = api.write(change(elsewhere(), status=status))

    answer = await api.http.post(f"/jobs/{record.job_id}/cancel")

    assert (answer.status_code, answer.json()["code"]) == (409, "other_namespace")
    for name in (OTHER, api.service.client.namespace):
        assert name in answer.json()["detail"]
    assert api.records.read(record.job_id) == record
    shown = await api.http.get(f"/jobs/{record.job_id}")
    assert shown.json() == record.job().model_dump(mode="json")


async def test_it_is_not_run_again(api: Api) -> None:
    record = api.write(ended(elsewhere(), Status.FAILED))
    answer = await api.http.post(f"/jobs/{record.job_id}/retry")
    assert (answer.status_code, answer.json()["code"]) == (409, "other_namespace")


async def killed(client: Client, job_id: str) -> None:
    """A job of the same id is terminated here."""
    await Temporal(client).start(job_id, GenVideoInput(prompt="p", style=""))
    async with standing_in(client):
        handle = client.get_workflow_handle(job_id)
        await handle.query("told")
        await handle.terminate()

    async def listed() -> list[object]:
        return [each async for each in client.list_workflows("ExecutionStatus='Terminated'")]

    await eventually(listed)


async def test_what_ends_here_is_none_of_its_ends(api: Api, client: Client) -> None:
    record = api.write(elsewhere())
    api.service.feed.put_record(record)
    await killed(client, record.job_id)

    for _ in range(3):
        await api.service.follower.poll()

    assert api.records.read(record.job_id) == record
    assert api.service.feed.get(record.job_id) == record.job()


async def test_it_is_not_forgotten(new_api: NewApi, client: Client) -> None:
    async with new_api(client, retention_days=1) as api:
        old = datetime.now(UTC) - timedelta(days=2)
        record = api.write(change(elsewhere(), status=Status.SUCCEEDED, finished_at=old))
        api.service.feed.put_record(record)
        await api.service.repairer.remove_expired()
        assert api.records.read(record.job_id) == record


@pytest.mark.parametrize(
    ("present", "ours", "stands"),
    [("a", "b", True), ("a", "a", False), ("", "b", False), ("a", "", False)],
)
def test_records_of_one_namespace_are_not_written_over_by_another(
    tmp_path: Path, present: str, ours: str, stands: bool
) -> None:
    """Neither a record that names none nor a process that has none is of another one."""
    record = sample_record(new_job_id()).model_copy(update={"namespace": present})
    Records(Folder(tmp_path)).write(record)
    later = change(record, namespace=ours)
    assert Records(Folder(tmp_path), namespace=ours).write(later) is not stands
