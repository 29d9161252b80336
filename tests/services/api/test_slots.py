"""The API's view and changes of a semaphore, and the ways out of a drain that cannot end."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, ClassVar
from urllib.parse import quote

import httpx
import pytest
from structlog.testing import capture_logs
from temporalio import activity, workflow
from temporalio.client import Client, WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from services.api import parts, slots
from services.semaphore.worker import running_semaphore
from shared.jobs.genvideo import GENVIDEO, GenVideoInput
from shared.jobs.ids import job_id_for_key, new_job_id
from shared.jobs.slots import JOB_GATE
from shared.pipeline.definition import DRAIN_ACTIVITY, OPEN_RECORDS_ACTIVITY
from shared.semaphore.client import start_semaphore
from shared.semaphore.messages import (
    CAPACITY,
    CHANGE_UPDATE,
    SEMAPHORE_QUEUE,
    SEMAPHORE_WORKFLOW,
    Drain,
    OpenRecords,
    SlotChange,
    SlotRequest,
    semaphore_id,
)
from tests.fixtures.eventually import eventually
from tests.services.api.conftest import BODY, Api, temporal_calls
from tests.shared.standins import StandIn, standing_in

EMPTY = {
    "limit": 1,
    "paused": False,
    "holders": [],
    "waiting": [],
    "waiting_count": 0,
    "capacity": 12_000,
    "rebuilding": False,
}


async def stand_in_for_semaphore(
    client: Client, waiting: list[str], *, capacity: int = CAPACITY
) -> None:
    await client.start_workflow(
        SEMAPHORE_WORKFLOW,
        args=[waiting, capacity],
        id=semaphore_id(JOB_GATE),
        task_queue=SEMAPHORE_QUEUE,
    )


async def test_without_a_semaphore_the_slot_is_free(api: Api) -> None:
    answer = await api.http.get("/slots")
    assert (answer.status_code, answer.json()) == (200, EMPTY)
    freed = await api.http.post("/slots/image/free", json={"run_id": RUN_ID})
    assert (freed.status_code, freed.json()["code"]) == (409, "not_draining")


@pytest.mark.usefixtures("workers")
async def test_change_starts_the_semaphore_and_is_visible_at_once(api: Api) -> None:
    await api.http.get("/slots")
    changed = await api.http.put("/slots", json={"limit": 4, "paused": True})
    assert changed.status_code == 200, changed.text
    assert changed.json() == {**EMPTY, "limit": 4, "paused": True}
    assert (await api.http.get("/slots")).json() == changed.json()


@pytest.mark.usefixtures("workers")
async def test_metrics_show_the_slot_and_its_freshness(
    api: Api, lonely: Api, client: Client, *, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "FRESH_SECONDS", 3600)
    await stand_in_for_semaphore(client, [new_job_id(), new_job_id()])
    await api.http.put("/slots", json={"limit": 4, "paused": True})

    shown = (await api.http.get("/metrics")).text
    away = (await lonely.http.get("/metrics")).text

    for line in (
        "seen 1.0",
        "limit 4.0",
        "paused 1.0",
        "waiting 2.0",
        'holders{draining="no"} 0.0',
    ):
        assert f"\ngenvideo_api_slot_{line}\n" in shown
    assert "\ngenvideo_api_slot_seen 0.0\n" in away


@pytest.mark.usefixtures("workers")
async def test_terminated_semaphore_is_started_again_and_its_old_view_ignored(
    api: Api, client: Client
) -> None:
    await stand_in_for_semaphore(client, [new_job_id()])
    await client.get_workflow_handle(semaphore_id(JOB_GATE)).terminate()

    assert (await api.http.get("/slots")).json() == EMPTY


@pytest.mark.usefixtures("workers")
async def test_many_readers_cost_one_query(
    api: Api, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "FRESH_SECONDS", 3600)
    keys = ["a", "b", "c"]
    await stand_in_for_semaphore(client, [job_id_for_key(key) for key in keys[::-1]])
    before = temporal_calls("query_slots")

    jobs = [await api.submit(key=key) for key in keys]
    await api.http.get("/slots")
    answers = await asyncio.gather(*(api.http.get("/slots") for _ in range(20)))
    listed = (await api.http.get("/jobs")).json()["jobs"]
    one = (await api.http.get(f"/jobs/{jobs[0]}")).json()

    assert {answer.json()["waiting_count"] for answer in answers} == {3}
    assert {job["job_id"]: job["queue_position"] for job in listed} == {
        jobs[2]: 1,
        jobs[1]: 2,
        jobs[0]: 3,
    }
    assert one["queue_position"] == 3
    assert temporal_calls("query_slots") - before == 1


async def test_silent_semaphore_costs_the_list_only_its_positions(
    api: Api, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slots, "PATIENCE_SECONDS", 0.05)
    monkeypatch.setattr(slots, "UPDATE_SECONDS", 0.05)
    await stand_in_for_semaphore(client, [])
    await api.submit()

    assert (await api.http.get("/jobs")).json()["jobs"][0]["queue_position"] is None
    # What the server has accepted is done by the next worker.
    changed = await api.http.put("/slots", json={"limit": 2})
    freed = await api.http.post("/slots/job/free", json={"run_id": RUN_ID})
    for answer in (changed, freed):
        assert answer.status_code == 503
        assert answer.json()["detail"].endswith("; the change may still take effect.")


async def test_slow_semaphore_differs_from_an_unreachable_temporal(
    api: Api, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slots, "TRY_SECONDS", (0.1, 0.1))
    await stand_in_for_semaphore(client, [])

    answer = await api.http.get("/slots")

    assert (answer.status_code, answer.json()["code"]) == (504, "semaphore_slow")
    assert (await api.http.get("/readyz")).status_code == 200


async def test_first_query_without_an_answer_is_repeated(
    api: Api, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slots, "TRY_SECONDS", (0.3, 30.0))
    await stand_in_for_semaphore(client, [new_job_id()])
    before = temporal_calls("query_slots")
    asking = asyncio.create_task(api.http.get("/slots"))
    # Nobody is there to answer before the first try is over.
    while temporal_calls("query_slots") < before + 2:  # noqa: ASYNC110 - a counter has no events
        await asyncio.sleep(0.01)

    async with standing_in(client):
        answer = await asking

    assert (answer.status_code, answer.json()["waiting_count"]) == (200, 1)


@workflow.defn(name=SEMAPHORE_WORKFLOW)
class Ending:
    """A semaphore that continues as new after a change."""

    # What happens in the task that has the change.
    meanwhile: ClassVar[Callable[[], object]]
    changed = False

    @workflow.run
    async def run(self) -> None:
        await workflow.wait_condition(lambda: self.changed)
        workflow.continue_as_new()

    @workflow.update(name=CHANGE_UPDATE)
    async def change(self, _change: SlotChange) -> None:
        type(self).meanwhile()
        self.changed = True


async def test_change_whose_task_fails_may_still_take_effect(api: Api, client: Client) -> None:
    """The server does not let a run end, in which a signal has just arrived."""
    loop, handle = asyncio.get_running_loop(), client.get_workflow_handle(semaphore_id(JOB_GATE))
    Ending.meanwhile = lambda: asyncio.run_coroutine_threadsafe(handle.signal("any"), loop).result()
    runner = UnsandboxedWorkflowRunner()
    async with Worker(
        client, task_queue=SEMAPHORE_QUEUE, workflows=[Ending], workflow_runner=runner
    ):
        await start_semaphore(client, JOB_GATE)
        answer = await api.http.put("/slots", json={"limit": 2})
    assert (answer.status_code, answer.json()["code"]) == (503, "temporal_unavailable")
    assert answer.json()["detail"].endswith("; the change may still take effect.")


async def test_slots_without_temporal(lonely: Api) -> None:
    for answer in (
        await lonely.http.get("/slots"),
        await lonely.http.put("/slots", json={"limit": 2}),
        await lonely.http.post("/slots/job/free", json={"run_id": RUN_ID}),
    ):
        assert answer.status_code == 503
        assert answer.json()["code"] == "temporal_unavailable"
        assert "retry-after" in answer.headers


async def test_wrong_body_is_refused(offline: httpx.AsyncClient) -> None:
    changes: list[object] = [{}, {"limit": 0}, {"limit": None}, {"paused": "maybe"}, []]
    for body in (*changes, {"limit": 1001}, {"limit": 1, "x": 1}):
        assert (await offline.put("/slots", json=body)).status_code == 422, body
    runs: list[object] = [{}, {"run_id": ""}, {"run_id": "a\nb"}, {"run_id": 1}, []]
    for body in (*runs, {"run_id": RUN_ID, "x": 1}):
        assert (await offline.post("/slots/job/free", json=body)).status_code == 422, body


@pytest.mark.usefixtures("workers")
async def test_full_queue_is_a_503_and_nothing_starts(
    api: Api, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "FRESH_SECONDS", 0.0)
    kept = await api.submit(key="kept")
    await stand_in_for_semaphore(client, [new_job_id(), new_job_id()], capacity=2)
    await api.http.get("/slots")

    refused = await api.http.post("/jobs", json=BODY)
    listed = (await api.http.get("/jobs")).json()["jobs"]

    problem = refused.json()
    assert (refused.status_code, problem["code"]) == (503, "queue_full")
    assert int(refused.headers["Retry-After"]) >= 1
    assert "2 jobs wait" in problem["detail"]
    assert [job["job_id"] for job in listed] == [kept]
    assert await api.submit(key="kept") == kept
    new = await api.http.post("/jobs", json=BODY, headers={"Idempotency-Key": "new"})
    assert (new.status_code, new.json()["code"]) == (503, "queue_full")


@pytest.mark.usefixtures("workers")
async def test_full_queue_is_checked_again_before_a_refusal(
    api: Api, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stand_in_for_semaphore(client, [new_job_id()], capacity=1)
    assert (await api.http.get("/slots")).json()["waiting_count"] == 1
    semaphore = client.get_workflow_handle(semaphore_id(JOB_GATE))
    await semaphore.terminate()
    await stand_in_for_semaphore(client, [], capacity=1)
    monkeypatch.setattr(parts, "FRESH_SECONDS", 0.0)
    monkeypatch.setattr(slots, "PATIENCE_SECONDS", 60)

    assert await api.submit()


WHY = "The image service does not answer."
JOB = GenVideoInput(prompt="p", style="")
RUN_ID = "01968c1e-6b1c-7f3a-9d51-2f1d6c7f0a11"


@activity.defn(name=DRAIN_ACTIVITY)
async def drain_in_vain(drain: Drain) -> None:
    raise ApplicationError(WHY)


@activity.defn(name=OPEN_RECORDS_ACTIVITY)
async def open_records() -> OpenRecords:
    return OpenRecords(runs=())


@asynccontextmanager
async def at_work(client: Client) -> AsyncIterator[None]:
    """The semaphore itself, beside jobs that hold until they are ended, and a drain that fails."""
    workers = Worker(
        client,
        task_queue=GENVIDEO.name,
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
        GENVIDEO.workflow, JOB, id=job_id, task_queue=GENVIDEO.name
    )
    begun = (await handle.describe()).start_time
    run_id = str(handle.result_run_id)
    request = SlotRequest(
        job_id=job_id, run_id=run_id, requested_at=begun, clean_up=GENVIDEO.clean_up
    )
    await start_semaphore(client, JOB_GATE, requests=[request])
    return handle


async def the_holder(api: Api, job_id: str, **like: object) -> dict[str, Any]:
    """The holder as `GET /slots/job` shows it, once it is like that."""

    async def shown() -> dict[str, Any]:
        holders = (await api.http.get("/slots/job")).json()["holders"]
        found = [each for each in holders if each["job_id"] == job_id]
        return found[0] if found and like.items() <= found[0].items() else {}

    return await eventually(shown)


async def test_failing_drain_shows_its_reason_and_can_be_given_up(
    api: Api, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "FRESH_SECONDS", 0.0)
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
        assert (told["gate"], told["event"]) == ("job", "operator freed a place")
        again = await api.http.post("/slots/job/free", json=body)
        assert again.status_code == 409


async def test_any_semaphore_can_be_read_and_set(api: Api, client: Client) -> None:
    async with at_work(client):
        for name in ("gpu", "team a/gpu", "é/free"):
            path = f"/slots/{quote(name, safe='')}"
            missing = [
                await api.http.get(path),
                await api.http.put(path, json={"limit": 2}),
                await api.http.post(f"{path}/free", json={"run_id": RUN_ID}),
            ]
            assert {(each.status_code, each.json()["code"]) for each in missing} == {
                (404, "slot_not_found")
            }
            await start_semaphore(client, name, limit=4)
            assert (await api.http.get(path)).json()["limit"] == 4
            assert (await api.http.put(path, json={"limit": 2})).json()["limit"] == 2
            freed = await api.http.post(f"{path}/free", json={"run_id": RUN_ID})
            assert freed.json()["code"] == "not_draining"
        assert (await api.http.get("/slots")).json()["limit"] == 1
