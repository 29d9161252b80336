"""Looking up, cancelling and running again; a readable record needs no Temporal."""

import asyncio
import itertools

import httpx
import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client

from shared.jobs.genvideo import GenVideoInput
from shared.jobs.ids import new_job_id
from shared.jobs.states import Status
from tests.services.api.conftest import BODY, Api, ended
from tests.shared.standins import sample_record


async def test_invalid_id_is_not_found(api: Api) -> None:
    for job_id in ("nope", "job-0123456789abcdef01234567%0A", "%00", "x" * 300, new_job_id()):
        for path in ("", "/image", "/video", "/events"):
            answer = await api.http.get(f"/jobs/{job_id}{path}")
            assert (answer.status_code, answer.json()["code"]) == (404, "job_not_found"), path
        for path in ("/cancel", "/retry"):
            assert (await api.http.post(f"/jobs/{job_id}{path}")).status_code == 404


async def test_pages_are_complete_while_jobs_arrive_and_change(api: Api) -> None:
    """Every job of before is on one page, once, though new ones come and records correct times."""
    before = [await api.submit(tag="t") for _ in range(12)]
    arriving = asyncio.create_task(_arrive(api, before))
    try:
        seen: list[str] = []
        params = {"limit": "2", "tag": "t"}
        while True:
            page = (await api.http.get("/jobs", params=params)).json()
            seen += [job["job_id"] for job in page["jobs"]]
            if page["next_cursor"] is None:
                break
            params["cursor"] = page["next_cursor"]
    finally:
        arriving.cancel()
        await asyncio.gather(arriving, return_exceptions=True)

    assert len(seen) == len(set(seen))
    assert [job_id for job_id in seen if job_id in before] == before[::-1]


async def _arrive(api: Api, known: list[str]) -> None:
    """New jobs, and first records of known ones, whose times are others than the API's own."""
    job = GenVideoInput.model_validate({**BODY, "tag": "t"})
    for job_id in itertools.cycle(known):
        await api.submit(tag="t")
        api.service.feed.put_record(sample_record(job_id, job))


async def test_bad_filters_are_reported_all_at_once(offline: httpx.AsyncClient) -> None:
    answer = await offline.get("/jobs?status=done&limit=0&cursor=x")
    assert [each["field"] for each in answer.json()["errors"]] == ["status", "limit", "cursor"]
    for limit in ("1001", "x"):
        assert (await offline.get(f"/jobs?limit={limit}")).status_code == 422


async def test_blank_filter_is_ignored(lonely: Api) -> None:
    job = GenVideoInput.model_validate({**BODY, "tag": "t"})
    record = lonely.write(sample_record(new_job_id(), job))
    await lonely.http.get(f"/jobs/{record.job_id}")
    for query in ("status=&tag=&limit=&cursor=", "tag=t&cursor="):
        answer = await lonely.http.get(f"/jobs?{query}")
        assert answer.status_code == 200
        assert [job["job_id"] for job in answer.json()["jobs"]] == [record.job_id]


async def test_cancel_reaches_the_workflow(api: Api, client: Client) -> None:
    job_id = await api.submit()

    answer = await api.http.post(f"/jobs/{job_id}/cancel")

    assert answer.status_code == 202
    assert answer.json()["job_id"] == job_id
    handle = client.get_workflow_handle(job_id)
    asked = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED
    assert asked in [event.event_type for event in (await handle.fetch_history()).events]


async def test_ended_job_is_not_cancelled(api: Api) -> None:
    record = api.write(ended(sample_record(new_job_id())))
    answer = await api.http.post(f"/jobs/{record.job_id}/cancel")
    assert answer.status_code == 409
    assert answer.json()["code"] == "job_ended"


async def test_job_forgotten_by_temporal_ends_when_cancelled(api: Api) -> None:
    """As after a loss of the server's database: nobody runs it, and nobody else would end it."""
    record = api.write(sample_record(new_job_id()))

    assert (await api.http.post(f"/jobs/{record.job_id}/cancel")).status_code == 202

    found = (await api.http.get(f"/jobs/{record.job_id}")).json()
    assert (found["status"], found["error"]["code"]) == ("failed", "forgotten")
    assert (await api.http.post(f"/jobs/{record.job_id}/cancel")).status_code == 409
    assert (await api.http.post(f"/jobs/{record.job_id}/retry")).status_code == 202


async def test_retry_is_a_new_job_with_the_same_input(api: Api, client: Client) -> None:
    job = GenVideoInput(prompt="p", style="s", tag="t", priority=5)
    for status in (Status.FAILED, Status.DEGRADED, Status.CANCELLED):
        record = api.write(ended(sample_record(new_job_id(), job), status))
        headers = {"Idempotency-Key": "once"}

        first = await api.http.post(f"/jobs/{record.job_id}/retry", headers=headers)
        again = await api.http.post(f"/jobs/{record.job_id}/retry", headers=headers)

        assert first.status_code == again.status_code == 202
        job_id = first.json()["job_id"]
        assert job_id == again.json()["job_id"] != record.job_id
        assert first.headers["location"].endswith(job_id)
        found = await client.get_workflow_handle(job_id).describe()
        assert await found.memo_value("input", type_hint=GenVideoInput) == job


async def test_key_of_a_retry_is_not_that_of_a_job(api: Api, client: Client) -> None:
    job_id = await api.submit("one-key")
    api.write(ended(sample_record(job_id, GenVideoInput.model_validate(BODY)), Status.FAILED))

    answer = await api.http.post(f"/jobs/{job_id}/retry", headers={"Idempotency-Key": "one-key"})

    assert answer.status_code == 202
    assert answer.json()["job_id"] != job_id


async def test_only_jobs_with_a_bad_end_can_be_retried(api: Api) -> None:
    fine = api.write(ended(sample_record(new_job_id())))
    invalid = sample_record(new_job_id()).model_copy(update={"prompt": "", "priority": 9})
    damaged = api.write(ended(invalid, Status.FAILED))
    for job_id in (fine.job_id, await api.submit(), damaged.job_id):
        answer = await api.http.post(f"/jobs/{job_id}/retry")
        assert answer.status_code == 409
        assert answer.json()["code"] == "job_not_retryable"


@pytest.mark.usefixtures("workers")
@pytest.mark.parametrize("damage", ["", '{"job_id": "', None])
async def test_lost_record_is_rebuilt_from_the_workflow(api: Api, damage: str | None) -> None:
    job_id = await api.submit()
    path = api.records.path(job_id)
    api.write(sample_record(job_id, GenVideoInput.model_validate(BODY)))
    assert (await api.http.get(f"/jobs/{job_id}")).json()["version"] == 1
    path.unlink()
    if damage is not None:
        path.write_text(damage)

    job = (await api.http.get(f"/jobs/{job_id}")).json()

    assert job["version"] == 1
    record = api.records.read(job_id)
    assert record is not None
    assert (record.version, record.prompt) == (1, job["prompt"])
