"""How jobs are started: few at a time, and refused for good if Temporal will never take them."""

import asyncio
from typing import Any, cast
from uuid import uuid4

import pytest
from temporalio.service import RPCError, RPCStatusCode

from services.api import temporal
from services.api.temporal import STARTS_AT_ONCE, Temporal
from shared.errors import TemporalUnavailable
from shared.jobs.genvideo import GenVideoInput
from shared.jobs.ids import new_job_id
from tests.fixtures.temporal import NewClient
from tests.services.api.conftest import BODY, Api, NewApi


class SlowServer:
    """Answers a start when it is told to."""

    def __init__(self) -> None:
        self.asked = 0
        self.answers = asyncio.Semaphore(0)

    async def start_workflow(self, *_: object, **__: object) -> None:
        self.asked += 1
        await self.answers.acquire()


def started(server: SlowServer, count: int) -> list["asyncio.Task[None]"]:
    ours = Temporal(cast(Any, server))
    return [
        asyncio.create_task(ours.start(f"job-{number}", GenVideoInput(prompt="p", style="")))
        for number in range(count)
    ]


async def all_that_can(tasks: list["asyncio.Task[None]"]) -> None:
    """Return when none of them can go on by itself."""
    for _ in range(10 * len(tasks)):
        await asyncio.sleep(0)


async def test_one_more_waits_for_an_answer() -> None:
    server = SlowServer()
    tasks = started(server, STARTS_AT_ONCE + 1)
    await all_that_can(tasks)
    assert server.asked == STARTS_AT_ONCE
    server.answers.release()
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    await all_that_can(tasks)
    assert server.asked == STARTS_AT_ONCE + 1
    for _ in tasks:
        server.answers.release()
    await asyncio.gather(*tasks)


async def test_patience_ends_with_what_can_be_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(temporal, "START_PATIENCE", 0.01)
    server = SlowServer()
    *begun, late = started(server, STARTS_AT_ONCE + 1)
    with pytest.raises(TemporalUnavailable, match="too slowly"):
        await late
    assert server.asked == STARTS_AT_ONCE
    for _ in begun:
        server.answers.release()
    await asyncio.gather(*begun)


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
