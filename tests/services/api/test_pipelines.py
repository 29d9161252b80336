"""A second pipeline beside genvideo: its own input, its own workflow and queue, the same routes."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from temporalio.client import Client

from examples.speech.definition import SPEECH, SpeechInput
from shared.jobs.ids import new_job_id
from shared.jobs.messages import Record
from shared.jobs.slots import JOB_GATE
from shared.jobs.states import Status
from shared.semaphore.messages import MEMO, Wait
from tests.services.api.conftest import BODY, Api, NewApi, change
from tests.shared.standins import CREATED

ORDER = {"pipeline": "speech", "text": "good morning", "tag": "announcements"}


@pytest.fixture
async def api(new_api: NewApi, client: Client) -> AsyncIterator[Api]:
    async with new_api(client, pipelines="examples.speech.definition:SPEECH") as api:
        yield api


async def submitted(api: Api, key: str = "", **fields: Any) -> str:
    headers = {"Idempotency-Key": key} if key else {}
    answer = await api.http.post("/jobs", json={**ORDER, **fields}, headers=headers)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["job_id"])


def record_of(job_id: str) -> Record:
    return Record.of(
        SPEECH,
        SpeechInput(text="good morning"),
        job_id=job_id,
        run_id="x",
        created_at=CREATED,
    )


async def test_job_starts_the_workflow_of_its_pipeline_on_its_queue(
    api: Api, client: Client
) -> None:
    job_id = await submitted(api, priority=2)
    found = await client.get_workflow_handle(job_id).describe()
    assert (found.workflow_type, found.task_queue) == ("SpeechWorkflow", "speech")
    mark = await found.memo_value(f"{MEMO}{JOB_GATE}", type_hint=Wait)
    assert mark.clean_up == SPEECH.clean_up
    assert await found.memo_value("input", type_hint=SpeechInput) == SpeechInput(
        text="good morning", tag="announcements", priority=2
    )

    video = (await api.http.post("/jobs", json=BODY)).json()["job_id"]
    jobs = {job["job_id"]: job for job in (await api.http.get("/jobs")).json()["jobs"]}
    assert {each: job["pipeline"] for each, job in jobs.items()} == {
        job_id: "speech",
        video: "genvideo",
    }
    assert jobs[job_id]["prompt"] == "good morning"
    assert jobs[job_id]["attempts"] == {"speech": 0}
    assert jobs[video]["attempts"] == {"image": 0, "video": 0}


async def test_mistakes_are_reported_by_field(api: Api) -> None:
    cases: list[tuple[dict[str, Any], list[tuple[str, str]]]] = [
        ({"pipeline": "opera"}, [("pipeline", "It must be one of genvideo, speech.")]),
        ({"pipeline": 7, "text": "x"}, [("pipeline", "It must be one of genvideo, speech.")]),
        ({"pipeline": "speech"}, [("text", "It is missing.")]),
        (
            {"pipeline": "speech", "text": "x", "style": "ink", "priority": 9},
            [("priority", "It must be at most 5."), ("style", "There is no such field.")],
        ),
        ({"pipeline": "genvideo", "text": "x"}, [("prompt", "It is missing."), ("text", "There")]),
    ]
    for body, told in cases:
        answer = await api.http.post("/jobs", json=body)
        assert answer.status_code == 422, body
        found = [(each["field"], each["message"]) for each in answer.json()["errors"]]
        assert [field for field, _ in found] == [field for field, _ in told], body
        for (_, said), (_, wanted) in zip(found, told, strict=True):
            assert said.startswith(wanted), body


async def test_key_stands_for_one_pipeline(api: Api) -> None:
    job_id = await submitted(api, key="k")
    assert await submitted(api, key="k") == job_id
    other = await api.http.post("/jobs", json=BODY, headers={"Idempotency-Key": "k"})
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_conflict")
    api.write(change(record_of(job_id)))
    again = await api.http.post("/jobs", json=BODY, headers={"Idempotency-Key": "k"})
    assert again.json()["code"] == "idempotency_conflict"


async def test_result_has_the_media_type_of_its_stage(api: Api) -> None:
    job_id = await submitted(api)
    path = f"/jobs/{job_id}/speech"
    assert (await api.http.get(path)).json()["code"] == "asset_not_found"
    folder = api.data_dir / "assets" / job_id
    folder.mkdir(parents=True)
    (folder / "speech.wav").write_bytes(b"RIFF and more")
    part = await api.http.get(path, headers={"Range": "bytes=0-3"})
    assert (part.status_code, part.headers["content-type"]) == (206, "audio/wav")
    assert part.content == b"RIFF"
    assert (await api.http.head(path)).headers["content-length"] == "13"


async def test_failed_job_is_retried_in_its_pipeline(api: Api, client: Client) -> None:
    record = change(record_of(new_job_id()), status=Status.FAILED, finished_at=CREATED)
    api.write(record)
    answer = await api.http.post(f"/jobs/{record.job_id}/retry")
    found = await client.get_workflow_handle(answer.json()["job_id"]).describe()
    assert found.workflow_type == "SpeechWorkflow"

    gone = record.model_copy(update={"job_id": new_job_id(), "pipeline": "opera"})
    api.write(gone)
    refused = await api.http.post(f"/jobs/{gone.job_id}/retry")
    assert refused.json()["code"] == "job_not_retryable"
    assert "opera is not one of genvideo, speech" in refused.json()["detail"]


async def test_page_gets_each_pipeline(api: Api) -> None:
    shown = (await api.http.get("/dashboard/config")).json()["pipelines"]
    assert shown["speech"] == {
        "stages": [{"name": "speech", "media_type": "audio/wav"}],
        "fields": [{"name": "text", "required": True}],
    }
    assert [each["name"] for each in shown["genvideo"]["stages"]] == ["image", "video"]
