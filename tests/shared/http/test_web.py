"""What every service answers: life, readiness with reasons, metrics, problems for all else."""

from collections.abc import AsyncIterator, Mapping

import httpx
import pytest
from fastapi import FastAPI

from shared.errors import BodyTooLarge, RouteNotFound, StorageFailed
from shared.files import digest
from shared.http.bodies import Limit
from shared.http.client import http_client
from shared.http.web import ROOT, service_app
from tests.fixtures.processes import serving


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with (
        serving(_app({"disk": "is full", "temporal": None})) as base,
        http_client(base) as http,
    ):
        yield http


def _app(reasons: Mapping[str, str | None]) -> FastAPI:
    async def ready() -> Mapping[str, str | None]:
        return reasons

    app = service_app("a test's", ready=ready, limit=Limit(10))

    @app.post("/echo")
    async def echo(body: dict[str, int]) -> dict[str, int]:
        return body

    @app.api_route("/echo", methods=["GET", "HEAD"])
    async def quiet() -> dict[str, int]:
        return {}

    @app.get("/ours")
    async def ours() -> None:
        raise StorageFailed("The disk is full.", retry_after=7)

    @app.get("/theirs")
    async def theirs() -> None:
        raise KeyError("a secret")

    return app


async def test_health_readiness_and_metrics(http: httpx.AsyncClient) -> None:
    assert (await http.get("/healthz")).json() == {"status": "ok"}
    unready = await http.get("/readyz")
    assert (unready.status_code, unready.json()["detail"]) == (503, "disk: is full")
    metrics = (await http.get("/metrics")).text
    assert "python_info" in metrics
    assert f'genvideo_code{{digest="{digest(ROOT, ["shared"])}",package="shared"}} 1.0' in metrics
    async with serving(_app({"disk": None})) as base, http_client(base) as fine:
        assert (await fine.get("/readyz")).json() == {"status": "ready", "checks": {"disk": "ok"}}


async def test_problems(http: httpx.AsyncClient) -> None:
    calls: list[tuple[str, str, bytes | None, int, str]] = [
        ("GET", "/nowhere", None, 404, "not_found"),
        ("PUT", "/echo", None, 405, "method_not_allowed"),
        ("POST", "/echo", b"[]", 422, "invalid_input"),
        ("POST", "/echo", b" " * 11, 413, "body_too_large"),
        ("GET", "/ours", None, 500, "storage_failed"),
        ("GET", "/theirs", None, 500, "internal"),
    ]
    headers = {"Content-Type": "application/json"}
    for method, path, body, status, code in calls:
        answer = await http.request(method, path, content=body, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.headers.get("retry-after") == ("7" if path == "/ours" else None)
        assert "secret" not in answer.text

    async def chunks() -> AsyncIterator[bytes]:
        yield b" " * 11

    streamed = await http.post("/echo", content=chunks(), headers=headers)
    assert streamed.json()["title"] == BodyTooLarge.title
    assert (await http.get("/nowhere")).json()["title"] == RouteNotFound.title


async def test_monitors_may_ask_by_head(http: httpx.AsyncClient) -> None:
    for path in ("/healthz", "/readyz"):
        whole, head = await http.get(path), await http.head(path)
        assert (head.status_code, head.content) == (whole.status_code, b"")
        for name in ("content-type", "content-length"):
            assert head.headers[name] == whole.headers[name]
