"""Batches: many jobs in one call, once per key, and what has become of them."""

import asyncio
from typing import Any

import httpx
import pytest
from temporalio.client import Client

from services.api.jobs import batches
from services.api.temporal import Temporal
from shared.errors import TemporalUnavailable
from shared.jobs.messages import JobInput
from shared.jobs.states import Status
from shared.temporal.client import CUSTOM_TAG
from tests.fixtures.eventually import eventually
from tests.services.api.conftest import BODY, Api, NewApi, change, ended
from tests.shared.standins import sample_record


async def submit(api: Api, body: dict[str, Any], key: str | None = None) -> httpx.Response:
    headers = {} if key is None else {"Idempotency-Key": key}
    return await api.http.post("/batches", json=body, headers=headers)


async def test_the_same_job_many_times(api: Api, client: Client) -> None:
    answer = await submit(api, {"count": 12, "job": BODY})

    assert answer.status_code == 202, answer.text
    reply = answer.json()
    assert answer.headers["location"] == reply["status_url"]
    assert reply["count"] == len(set(reply["job_ids"])) == 12
    found = await client.get_workflow_handle(reply["job_ids"][-1]).describe()
    assert found.typed_search_attributes.get(CUSTOM_TAG) == reply["tag"]
    batch = (await api.http.get(f"/batches/{reply['tag']}")).json()
    assert (batch["total"], batch["counts"]["queued"], batch["percent"]) == (12, 12, 0)


async def test_different_jobs_in_their_order(api: Api) -> None:
    jobs = [{**BODY, "prompt": f"number {number}", "priority": 1} for number in range(5)]
    reply = (await submit(api, {"jobs": jobs, "tag": "批/次 7"})).json()

    answers = [(await api.http.get(f"/jobs/{job_id}")).json() for job_id in reply["job_ids"]]

    assert [answer["prompt"] for answer in answers] == [job["prompt"] for job in jobs]
    assert {(answer["tag"], answer["priority"]) for answer in answers} == {("批/次 7", 1)}
    path = httpx.URL(reply["status_url"]).raw_path.decode()
    assert (await api.http.get(path)).json()["total"] == 5


async def test_a_batch_is_summed_up(api: Api) -> None:
    ids = (await submit(api, {"count": 4, "job": BODY, "tag": "t"})).json()["job_ids"]
    job = JobInput.model_validate({**BODY, "tag": "t"})
    api.write(ended(sample_record(ids[0], job)))
    api.write(ended(sample_record(ids[1], job), Status.FAILED))
    api.write(change(sample_record(ids[2], job), status=Status.RUNNING))

    async def settled() -> dict[str, Any] | None:
        batch = (await api.http.get("/batches/t")).json()
        assert isinstance(batch, dict)
        return batch if batch["counts"]["running"] else None

    batch = await eventually(settled)

    assert batch is not None
    assert batch["counts"] == {
        "queued": 1,
        "running": 1,
        "succeeded": 1,
        "degraded": 0,
        "failed": 1,
        "cancelled": 0,
    }
    assert batch["percent"] == 50
    assert batch["first_started_at"] is None
    assert batch["last_finished_at"] == "2026-01-02T03:04:05Z"
    assert batch["first_created_at"] <= batch["last_created_at"]


async def test_a_key_stands_for_one_batch(api: Api) -> None:
    body = {"count": 5, "job": BODY}
    first = (await submit(api, body, "order-1")).json()

    assert (await submit(api, body, "order-1")).json() == first
    assert (await submit(api, body, "order-2")).json()["tag"] != first["tag"]
    for other in ({"count": 4, "job": BODY}, {"count": 5, "job": {**BODY, "style": "oil"}}):
        answer = await submit(api, other, "order-1")
        assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_conflict")
    assert (await api.http.get(f"/batches/{first['tag']}")).json()["total"] == 5


async def test_a_batchs_key_is_not_that_of_a_job(api: Api) -> None:
    ids = (await submit(api, {"count": 1, "job": BODY}, "one-key")).json()["job_ids"]
    assert await api.submit("one-key") not in ids
    # A blank is in no key that a caller may use.
    assert " " in batches._key("one-key", 0)


async def test_what_broke_off_is_completed_by_the_same_key(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the caller gave no key: the refusal tells the one to come back with."""
    start, calls = Temporal.start, 0

    async def breaks(self: Temporal, job_id: str, job: JobInput) -> None:
        nonlocal calls
        calls += 1
        if calls > 3:
            raise TemporalUnavailable("away")
        await start(self, job_id, job)

    body = {"count": 6, "job": BODY, "tag": "t"}
    with monkeypatch.context() as patch:
        patch.setattr(Temporal, "start", breaks)
        patch.setattr(batches, "AT_ONCE", 1)
        answer = await submit(api, body)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (503, "temporal_unavailable")
    assert "3 of 6 jobs were started" in problem["detail"]
    assert "retry-after" in answer.headers
    assert calls == 4

    key = problem["detail"].partition("Idempotency-Key: ")[2].split()[0]
    assert (await submit(api, body, key)).status_code == 202
    assert (await api.http.get("/batches/t")).json()["total"] == 6


async def test_starts_are_bounded(
    api: Api, new_api: NewApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.api.jobs.batches.AT_ONCE", 4)
    under_way, most, full = 0, 0, asyncio.Event()

    async def slow(self: Temporal, job_id: str, job: JobInput) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        if under_way == 4:
            full.set()
        await full.wait()
        # Time for one too many to come in.
        await asyncio.sleep(0.01)
        under_way -= 1

    monkeypatch.setattr(Temporal, "start", slow)
    assert (await submit(api, {"count": 40, "job": BODY, "tag": "t"})).status_code == 202
    assert most == 4
    assert api.service.batches.summary("t").total == 40


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({}, "Give either jobs, or count and job"),
        ({"jobs": [BODY], "count": 2, "job": BODY}, "Give either jobs, or count and job"),
        ({"jobs": [BODY], "count": 2}, "Give either jobs, or count and job"),
        ({"count": 2}, "Give either jobs, or count and job"),
        ({"job": BODY}, "Give either jobs, or count and job"),
        ({"jobs": []}, "jobs"),
        ({"count": 0, "job": BODY}, "count"),
        ({"count": 1001, "job": BODY}, "count"),
        ({"jobs": [{**BODY, "style": 7}, {**BODY, "prompt": ""}]}, "jobs[1].prompt"),
        ({"jobs": [BODY, {**BODY, "tag": "own"}]}, "jobs[1].tag"),
        ({"count": 2, "job": {**BODY, "tag": "own"}}, "job.tag"),
        ({"count": 1, "job": BODY, "tag": "a\nb"}, "tag"),
    ],
)
async def test_a_batch_that_does_not_fit(
    offline: httpx.AsyncClient, body: dict[str, Any], says: str
) -> None:
    answer = await offline.post("/batches", json=body)
    assert answer.status_code == 422
    assert says in answer.json()["detail"]


@pytest.mark.parametrize("tag", ["nobody", "%00", "a/b", "%F0%9F%A6%8A"])
async def test_no_job_has_the_tag(offline: httpx.AsyncClient, tag: str) -> None:
    answer = await offline.get(f"/batches/{tag}")
    assert (answer.status_code, answer.json()["code"]) == (404, "batch_not_found")
