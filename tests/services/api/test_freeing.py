"""A drain that cannot end: shown with its reason, and given up by an operator."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs
from temporalio import activity
from temporalio.client import Client, WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from services.api import slots
from services.semaphore.worker import running_semaphore
from shared.jobs.ids import new_job_id
from shared.jobs.messages import JobInput
from shared.semaphore.client import start_semaphore
from shared.semaphore.messages import (
    DRAIN_ACTIVITY,
    OPEN_RECORDS_ACTIVITY,
    Drain,
    OpenRecords,
    SlotRequest,
)
from shared.temporal.client import GENVIDEO_QUEUE, GENVIDEO_WORKFLOW
from tests.fixtures.eventually import eventually
from tests.services.api.conftest import Api, temporal_calls
from tests.shared.standins import StandIn

WHY = "The image service does not answer."
JOB = JobInput(prompt="p", style="")
RUN_ID = "01968c1e-6b1c-7f3a-9d51-2f1d6c7f0a11"


@activity.defn(name=DRAIN_ACTIVITY)
async def drain_in_vain(drain: Drain) -> None:
    raise ApplicationError(WHY)


@activity.defn(name=OPEN_RECORDS_ACTIVITY)
async def open_records() -> OpenRecords:
    return OpenRecords()


@asynccontextmanager
async def at_work(client: Client) -> AsyncIterator[None]:
    """The semaphore itself, beside jobs that hold until they are ended, and a drain that fails."""
    workers = Worker(
        client,
        task_queue=GENVIDEO_QUEUE,
        workflows=[StandIn],
        activities=[drain_in_vain, open_records],
        workflow_runner=UnsandboxedWorkflowRunner(),
    )
    async with workers, running_semaphore(client):
        yield


async def start_job(client: Client) -> WorkflowHandle[Any, Any]:
    """A job that waits for the slot, or holds it."""
    job_id = new_job_id()
    handle = await client.start_workflow(
        GENVIDEO_WORKFLOW, JOB, id=job_id, task_queue=GENVIDEO_QUEUE
    )
    begun = (await handle.describe()).start_time
    run_id = str(handle.result_run_id)
    request = SlotRequest(job_id=job_id, run_id=run_id, requested_at=begun)
    await start_semaphore(client, requests=[request])
    return handle


async def the_holder(api: Api, job_id: str, **like: object) -> dict[str, Any]:
    """The holder as `GET /slots/job` shows it, once it is like that."""

    async def shown() -> dict[str, Any]:
        holders = (await api.http.get("/slots/job")).json()["holders"]
        found = [each for each in holders if each["job_id"] == job_id]
        return found[0] if found and like.items() <= found[0].items() else {}

    return await eventually(shown)


async def test_a_drain_that_fails_tells_why_and_is_given_up(
    api: Api, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slots, "FRESH_SECONDS", 0.0)
    async with at_work(client):
        first, second = await start_job(client), await start_job(client)
        held = await the_holder(api, first.id, draining=False)
        assert (held["run_id"], held["drains_since"]) == (first.result_run_id, None)
        body = {"run_id": held["run_id"]}
        refused = await api.http.post("/slots/job/free", json=body)
        assert (refused.status_code, refused.json()["code"]) == (409, "not_draining")

        await first.terminate()
        drains = await the_holder(api, first.id, draining=True, drain_failure=WHY)
        assert drains["drain_attempts"] > 1
        assert drains["drains_since"] >= held["since"]
        with capture_logs() as logs:
            freed = await api.http.post("/slots/job/free", json=body)

        assert freed.status_code == 200, freed.text
        assert [each["job_id"] for each in freed.json()["holders"]] == [second.id]
        assert await the_holder(api, second.id, draining=False)
        [told] = [each for each in logs if each.get("run_id") == held["run_id"]]
        assert (told["gate"], told["event"]) == ("job", "a place was freed by an operator")
        again = await api.http.post("/slots/job/free", json=body)
        assert again.status_code == 409


@pytest.mark.usefixtures("workers")
async def test_where_nobody_drains_the_server_is_not_asked_about_it(api: Api) -> None:
    await api.http.put("/slots/video", json={"limit": 5})
    before = temporal_calls("describe_slots")

    assert (await api.http.get("/slots/video")).json()["limit"] == 5
    assert (await api.http.get("/slots/job")).json() == (await api.http.get("/slots")).json()
    assert temporal_calls("describe_slots") == before


async def test_without_a_semaphore_nobody_drains(api: Api) -> None:
    answer = await api.http.post("/slots/image/free", json={"run_id": RUN_ID})

    assert (answer.status_code, answer.json()["code"]) == (409, "not_draining")


async def test_names_and_bodies_that_do_not_fit(offline: httpx.AsyncClient) -> None:
    wanted = {"run_id": RUN_ID}
    unknown = [
        await offline.get("/slots/gpu"),
        await offline.put("/slots/gpu", json={"limit": 2}),
        await offline.post("/slots/gpu/free", json=wanted),
    ]
    assert {(each.status_code, each.json()["code"]) for each in unknown} == {
        (404, "slot_not_found")
    }
    wrong: list[object] = [
        {},
        {"run_id": ""},
        {"run_id": "a\nb"},
        {"run_id": 1},
        {**wanted, "x": 1},
        [],
    ]
    for body in wrong:
        assert (await offline.post("/slots/job/free", json=body)).status_code == 422


async def test_a_semaphore_that_is_silent_frees_nothing(
    api: Api, client: Client, lonely: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slots, "UPDATE_SECONDS", 0.05)
    await start_semaphore(client)
    answers = await asyncio.gather(
        *(each.http.post("/slots/job/free", json={"run_id": RUN_ID}) for each in (api, lonely))
    )

    assert [each.status_code for each in answers] == [503, 503]
