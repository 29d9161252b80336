"""What the page gets of the other services: their own answers, or who is away."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from services.api.http import console as module
from services.callback.app import create_app as create_receiver
from services.callback.settings import CallbackSettings
from shared.health import READY_SECONDS
from shared.http.client import http_client
from shared.jobs.ids import new_job_id
from shared.jobs.tokens import operator_key
from tests.fixtures.processes import free_port, serving
from tests.services.api.conftest import NewApi
from tests.services.mock_core.serving import Service
from tests.shared.standins import client_of_nobody


@pytest.fixture
async def console(new_lonely: NewApi, video_mock: Service) -> AsyncIterator[httpx.AsyncClient]:
    """An API that knows where the video mock is; all others are away."""
    names = ("callback_service_url", "mock_comfyui_url", "worker_url", "semaphore_url")
    away = {name: f"http://127.0.0.1:{free_port()}" for name in names}
    async with new_lonely(mock_kling_url=str(video_mock.http.base_url), **away) as api:
        yield api.http


async def test_health_lists_ready_and_unreachable_services(
    console: httpx.AsyncClient,
) -> None:
    rows = (await console.get("/console/health")).json()

    ready = {row["name"]: row["ready"] for row in rows}
    assert ready == {
        "api": True,
        "temporal": False,
        "worker": False,
        "semaphore": False,
        "callback": False,
        "mock-comfyui": False,
        "mock-kling": True,
    }
    assert {row["detail"] for row in rows if row["name"] == "semaphore"} == {"does not answer"}


async def test_service_that_waits_for_temporal_answers_in_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.01)
    app = FastAPI()

    @app.get("/readyz", status_code=503)
    async def ready() -> dict[str, str]:
        await asyncio.sleep(0.2)
        return {"detail": "temporal: does not answer"}

    async with serving(app) as base, http_client() as http:
        found = await module.health(http, "semaphore", base)
    assert (found.ready, found.detail) == (False, "temporal: does not answer")
    assert module.HEALTH_SECONDS > READY_SECONDS


async def test_each_worker_is_asked_and_a_missing_one_is_reported(
    new_lonely: NewApi, video_mock: Service
) -> None:
    url = str(video_mock.http.base_url)
    for wanted, found in (
        (1, {"worker": True}),
        (2, {"worker 1": True, "worker 2": False}),
    ):
        async with new_lonely(worker_url=url, workers=wanted, mocks="off") as api:
            rows = (await api.http.get("/console/health")).json()
        assert {row["name"]: row["ready"] for row in rows if "worker" in row["name"]} == found


async def test_mocks_are_configured_and_their_refusal_is_passed_on(
    console: httpx.AsyncClient, video_mock: Service
) -> None:
    path = "/console/mock-kling/faults"
    assert (await console.post(path, json={"preset": "lost-callbacks"})).status_code == 200
    assert (await console.get(path)).json()["rules"] != []
    assert (await console.delete(path)).json()["rules"] == []
    rules = [{"name": name, "where": "submit", "do": "refuse"} for name in ("one", "two")]
    await console.put(path, json={"rules": rules})
    left = (await console.delete(path, params={"name": "one"})).json()["rules"]
    assert [rule["name"] for rule in left] == ["two"]
    wrong = await console.post(path, json={"where": "nowhere"})
    assert wrong.status_code == 422
    assert wrong.headers["content-type"] == "application/problem+json"
    assert wrong.json()["code"] == "bad_fault_plan"
    assert wrong.json()["errors"]

    for _ in range(3):
        await video_mock.post("/video/submit", {"image_url": "http://x/y", "prompt": "a"})
    hits = (await console.get("/console/mock-kling/trace")).json()
    assert [row["seq"] for row in hits["rows"]] == [1, 2, 3]

    clock = "/console/mock-kling/clock"
    assert (await console.put(clock, json={"speed": 2})).status_code == 200
    assert (await console.get("/console/mock-kling/stats")).json()["speed"] == 2
    assert (await console.put(clock, json={"speed": 0})).status_code == 422


async def test_only_mocks_can_be_reached(console: httpx.AsyncClient) -> None:
    for path, status in (
        ("mock-comfyui/faults", 502),
        ("worker/faults", 422),
        ("mock-kling/reset", 404),
        ("callbacks?job_id=../x", 404),
    ):
        answer = await console.get(f"/console/{path}")
        assert answer.status_code == status, path
        assert (answer.json()["code"] == "service_away") == (status == 502)


async def test_beside_a_real_vendor_only_the_other_mock_is_asked(
    new_lonely: NewApi, video_mock: Service
) -> None:
    mock = str(video_mock.http.base_url)
    async with new_lonely(mocks="video", mock_kling_url=mock) as api:
        config = (await api.http.get("/dashboard/config")).json()
        names = [each["name"] for each in (await api.http.get("/console/health")).json()]
        real = await api.http.get("/console/mock-comfyui/stats")
        mocked = await api.http.get("/console/mock-kling/stats")

    assert config["mocks"] == ["video"]
    assert ("mock-kling" in names, "mock-comfyui" in names) == (True, False)
    assert (real.status_code, mocked.status_code) == (409, 200)
    assert real.json()["code"] == "mocks_off"


async def test_receipts_are_read_with_the_operators_key(tmp_path: Path, new_lonely: NewApi) -> None:
    secret = "a-secret-of-32-characters-or-more"
    receiver = create_receiver(
        CallbackSettings(
            data_dir=tmp_path, callback_secret=SecretStr(secret), callback_guarded=True
        ),
        await client_of_nobody(free_port()),
    )
    async with serving(receiver) as base:
        statuses = []
        for key in (operator_key(secret), "another"):
            async with new_lonely(callback_service_url=base, operator_key=key) as api:
                answer = await api.http.get("/console/callbacks", params={"job_id": new_job_id()})
                statuses.append(answer.status_code)
    assert statuses == [200, 401]
