"""The slot as the semaphore shows it: asked once a second, started where it is missing."""

import asyncio

import httpx
import pytest
from temporalio.client import Client

from services.api import slots
from shared.jobs.ids import job_id_for_key, new_job_id
from shared.semaphore.messages import (
    CAPACITY,
    JOB_GATE,
    SEMAPHORE_QUEUE,
    SEMAPHORE_WORKFLOW,
    semaphore_id,
)
from tests.services.api.conftest import BODY, Api, temporal_calls
from tests.shared.standins import standing_in

EMPTY = {
    "limit": 1,
    "paused": False,
    "holders": [],
    "waiting": [],
    "waiting_count": 0,
    "capacity": 12_000,
}


async def start_semaphore(client: Client, waiting: list[str], *, capacity: int = CAPACITY) -> None:
    await client.start_workflow(
        SEMAPHORE_WORKFLOW,
        args=[waiting, capacity],
        id=semaphore_id(JOB_GATE),
        task_queue=SEMAPHORE_QUEUE,
    )


async def test_without_a_semaphore_nobody_holds_it(api: Api) -> None:
    answer = await api.http.get("/slots")
    assert (answer.status_code, answer.json()) == (200, EMPTY)


@pytest.mark.usefixtures("workers")
async def test_a_change_starts_the_semaphore_and_is_seen_at_once(api: Api) -> None:
    await api.http.get("/slots")
    changed = await api.http.put("/slots", json={"limit": 4, "paused": True})
    assert changed.status_code == 200, changed.text
    assert changed.json() == {**EMPTY, "limit": 4, "paused": True}
    assert (await api.http.get("/slots")).json() == changed.json()


@pytest.mark.usefixtures("workers")
async def test_metrics_show_what_it_says_and_whether_it_has_said_it(
    api: Api, lonely: Api, client: Client
) -> None:
    await start_semaphore(client, [new_job_id(), new_job_id()])
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
async def test_a_terminated_semaphore_is_started_again_and_its_last_word_is_not_believed(
    api: Api, client: Client
) -> None:
    await start_semaphore(client, [new_job_id()])
    await client.get_workflow_handle(semaphore_id(JOB_GATE)).terminate()

    assert (await api.http.get("/slots")).json() == EMPTY


@pytest.mark.usefixtures("workers")
async def test_however_many_look_the_semaphore_is_asked_once(
    api: Api, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slots, "FRESH_SECONDS", 3600)
    keys = ["a", "b", "c"]
    await start_semaphore(client, [job_id_for_key(key) for key in keys[::-1]])
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


async def test_a_silent_semaphore_costs_the_list_its_positions_alone(
    api: Api, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slots, "PATIENCE_SECONDS", 0.05)
    monkeypatch.setattr(slots, "UPDATE_SECONDS", 0.05)
    await start_semaphore(client, [])
    await api.submit()

    assert (await api.http.get("/jobs")).json()["jobs"][0]["queue_position"] is None
    assert (await api.http.put("/slots", json={"limit": 2})).status_code == 503


async def test_a_slow_semaphore_is_told_from_a_temporal_that_is_away(
    api: Api, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slots, "TRY_SECONDS", (0.1, 0.1))
    await start_semaphore(client, [])

    answer = await api.http.get("/slots")

    assert (answer.status_code, answer.json()["code"]) == (504, "semaphore_slow")
    assert (await api.http.get("/readyz")).status_code == 200


async def test_a_semaphore_that_misses_the_first_question_is_asked_again(
    api: Api, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slots, "TRY_SECONDS", (0.3, 30.0))
    await start_semaphore(client, [new_job_id()])
    before = temporal_calls("query_slots")
    asking = asyncio.create_task(api.http.get("/slots"))
    # Nobody is there to answer before the first try is over.
    while temporal_calls("query_slots") < before + 2:  # noqa: ASYNC110 - a counter has no events
        await asyncio.sleep(0.01)

    async with standing_in(client):
        answer = await asking

    assert (answer.status_code, answer.json()["waiting_count"]) == (200, 1)


async def test_with_temporal_away(lonely: Api) -> None:
    for answer in (
        await lonely.http.get("/slots"),
        await lonely.http.put("/slots", json={"limit": 2}),
    ):
        assert answer.status_code == 503
        assert answer.json()["code"] == "temporal_unavailable"
        assert "retry-after" in answer.headers


@pytest.mark.parametrize(
    "body", [{}, {"limit": 0}, {"limit": 1001}, {"paused": "maybe"}, {"limit": 1, "x": 1}, []]
)
async def test_a_change_that_does_not_fit(offline: httpx.AsyncClient, body: object) -> None:
    assert (await offline.put("/slots", json=body)).status_code == 422


@pytest.mark.usefixtures("workers")
async def test_a_full_queue_is_a_503_and_nothing_is_started(
    api: Api, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slots, "FRESH_SECONDS", 0.0)
    kept = await api.submit(key="kept")
    await start_semaphore(client, [new_job_id(), new_job_id()], capacity=2)
    await api.http.get("/slots")

    refused = await api.http.post("/jobs", json=BODY)
    listed = (await api.http.get("/jobs")).json()["jobs"]

    problem = refused.json()
    assert (refused.status_code, problem["code"]) == (503, "queue_full")
    assert int(refused.headers["Retry-After"]) >= 1
    assert "2 jobs wait" in problem["detail"]
    assert [job["job_id"] for job in listed] == [kept]
    assert await api.submit(key="kept") == kept


@pytest.mark.usefixtures("workers")
async def test_a_queue_that_was_full_is_looked_at_again_before_anything_is_refused(
    api: Api, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    await start_semaphore(client, [new_job_id()], capacity=1)
    assert (await api.http.get("/slots")).json()["waiting_count"] == 1
    semaphore = client.get_workflow_handle(semaphore_id(JOB_GATE))
    await semaphore.terminate()
    await start_semaphore(client, [], capacity=1)
    monkeypatch.setattr(slots, "FRESH_SECONDS", 0.0)

    assert await api.submit()


@pytest.mark.usefixtures("workers")
async def test_a_stages_gate_is_set_apart_from_the_slot(api: Api) -> None:
    changed = await api.http.put("/slots", params={"gate": "video"}, json={"limit": 5})
    assert changed.status_code == 200, changed.text
    assert (await api.http.get("/slots", params={"gate": "video"})).json()["limit"] == 5
    for other in ({}, {"gate": "job"}, {"gate": "image"}):
        assert (await api.http.get("/slots", params=other)).json() == EMPTY


@pytest.mark.parametrize("method", ["GET", "PUT"])
async def test_a_gate_that_is_not_known_is_refused_with_those_that_are(
    api: Api, method: str
) -> None:
    refused = await api.http.request(
        method, "/slots", params={"gate": "gpu"}, json={"limit": 2} if method == "PUT" else None
    )
    assert refused.status_code == 422
    assert all(name in refused.json()["detail"] for name in ("gate", "job", "image", "video"))
