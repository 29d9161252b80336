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
from tests.services.api.conftest import NewApi, change, terminated
from tests.shared.standins import sample_record, standing_in

OTHER = "shop"


def elsewhere() -> Record:
    """A queued job of the other namespace."""
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
