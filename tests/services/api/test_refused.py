"""A job that Temporal will never take as things are is refused for good, with what mends it."""

from uuid import uuid4

import pytest
from temporalio.service import RPCError, RPCStatusCode

from services.api.jobs import batches
from services.api.temporal import Temporal
from shared.errors import NamespaceMissing
from shared.jobs.ids import new_job_id
from shared.jobs.messages import JobInput
from tests.fixtures.temporal import NewClient
from tests.services.api.conftest import BODY, Api, NewApi


async def test_without_the_namespace(new_api: NewApi, new_client: NewClient) -> None:
    client = await new_client(namespace=f"test-{uuid4().hex[:12]}")
    async with new_api(client) as api:
        submitted = await api.http.post("/jobs", json=BODY)
        asked = await api.http.get(f"/jobs/{new_job_id()}")
        slots = await api.http.get("/slots")
        ready = await api.http.get("/readyz")
    for answer in (submitted, asked, slots):
        assert (answer.status_code, answer.json()["code"]) == (503, "namespace_missing")
        assert "retry-after" not in answer.headers
        assert "make namespace" in answer.json()["detail"]
    assert f"temporal: Namespace {client.namespace} is not found" in ready.json()["detail"]


async def test_without_search_attributes(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    lacks = "Namespace default has no mapping defined for search attribute CustomProgress"

    async def refused(*_: object, **__: object) -> None:
        raise RPCError(lacks, RPCStatusCode.INVALID_ARGUMENT, b"")

    monkeypatch.setattr(api.service.client, "start_workflow", refused)
    answer = await api.http.post("/jobs", json=BODY)
    assert (answer.status_code, answer.json()["code"]) == (503, "search_attributes_missing")
    assert answer.json()["detail"].startswith(lacks)
    assert "retry-after" not in answer.headers


async def test_a_batch_says_so_too_and_how_far_it_came(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    start, calls = Temporal.start, 0

    async def gone(self: Temporal, job_id: str, job: JobInput) -> None:
        nonlocal calls
        calls += 1
        if calls > 1:
            raise NamespaceMissing("gone")
        await start(self, job_id, job)

    monkeypatch.setattr(Temporal, "start", gone)
    monkeypatch.setattr(batches, "AT_ONCE", 1)
    answer = await api.http.post("/batches", json={"count": 3, "job": BODY, "tag": "t"})
    assert (answer.status_code, answer.json()["code"]) == (503, "namespace_missing")
    assert answer.json()["detail"].startswith("gone; 1 of 3 jobs were started")
    assert "retry-after" not in answer.headers
