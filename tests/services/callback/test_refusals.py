"""What the receiver refuses, in its order, and to whom; nothing secret is left behind."""

import asyncio
import json
import signal
import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from pydantic import SecretStr

from services.callback import receipts as module
from services.callback import routes
from services.callback.settings import CallbackSettings
from shared.http.client import http_client
from shared.jobs.ids import external_id, new_job_id
from shared.jobs.tokens import callback_url, operator_key
from tests.fixtures.processes import free_port, running
from tests.services.callback.conftest import SECRET, Vendor, receiving

JSON = {"Content-Type": "application/json"}


async def test_wrong_token_gets_no_detail(offline: Vendor) -> None:
    offline.record()
    wrong = await offline.http.post(offline.address(secret="x" * 20), content=b"{", headers=JSON)
    absent = await offline.http.post("/callback/kling", json=offline.body())
    nowhere = await offline.http.post("/nowhere", json={})

    assert wrong.status_code == absent.status_code == nowhere.status_code == 404
    assert wrong.json()["code"] == nowhere.json()["code"]
    assert offline.job_id not in wrong.text
    assert [row["fate"] for row in await offline.receipts()] == ["rejected"]


async def test_forgeries_do_not_fill_the_disk(
    vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_FORGED", 3)
    wrong = vendor.address(secret="x" * 20)
    assert (await vendor.http.post(wrong, json={})).status_code == 404
    assert await vendor.receipts() == []

    vendor.record()
    for _ in range(5):
        await vendor.http.post(wrong, json={})
    assert len(await vendor.receipts()) == 3


async def test_task_of_an_image_has_no_callback(offline: Vendor) -> None:
    """Not even under a token that fits."""
    offline.record()
    address = callback_url("", SECRET, external_id(offline.job_id, "image", 1))
    body = offline.body("processing", task_id="image-1")
    assert (await offline.http.post(address, json=body)).status_code == 404
    assert await offline.receipts() == []


async def test_large_body_is_refused_with_or_without_its_length(vendor: Vendor) -> None:
    large = b" " * (routes.MAX_BODY + 1)
    announced = await vendor.http.post(vendor.address(), content=large, headers=JSON)

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(5):
            yield b" " * (routes.MAX_BODY // 4)

    streamed = await vendor.http.post(vendor.address(), content=chunks(), headers=JSON)

    for answer in (announced, streamed):
        assert answer.status_code == 413
        assert answer.json()["code"] == "body_too_large"


async def test_many_mistakes_are_refused_cheaply(offline: Vendor) -> None:
    for body in (
        b'{"task_id":[' + b"1," * 120_000 + b"1]}",
        b"[" + b"{}," * 80_000 + b"{}]",
        json.dumps({f"key{number}": number for number in range(10_000)}).encode(),
    ):
        tracemalloc.start()
        answer = await offline.http.post(offline.address(), content=body, headers=JSON)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert answer.status_code == 422
        assert len(answer.content) < 1000
        assert peak < 50_000_000


async def test_slow_body_is_cut_off(vendor: Vendor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "READ_SECONDS", 0.05)
    parts = urlsplit(str(vendor.http.base_url))
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    head = f"POST {vendor.address()} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n"
    writer.write(f"{head}Content-Type: application/json\r\n\r\n{{".encode())
    assert b" 408 " in await reader.readline()
    writer.close()


async def test_forged_body_is_not_read(vendor: Vendor) -> None:
    parts = urlsplit(str(vendor.http.base_url))
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    path = vendor.address(secret="x" * 20)
    writer.write(f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n".encode())
    assert b" 404 " in await reader.readline()
    writer.close()


WRONG = [
    (b"", "body"),
    (b"[", "body"),
    (b"[" * 100_000, "body"),
    (b'{"task_status": "succeed"}', "task_id"),
    (b'{"task_id": "t", "task_status": "cancelled"}', "task_status"),
    (b'{"task_id": "\\ud800", "task_status": "succeed"}', "body"),
    (b'{"task_id": "t\xff", "task_status": "succeed"}', "body"),
    (b'{"task_id": "t\\u0000", "task_status": "succeed"}', "task_id"),
    (b'{"task_id": "t", "task_status": "succeed", "updated_at": 1e400}', "updated_at"),
    (b'{"task_id": "t", "task_status": "succeed", "updated_at": -1}', "updated_at"),
    (b'{"task_id": "t", "task_status": "succeed", "task_info": 7}', "task_info"),
    (b'{"data": {"task_id": "t"}}', "task_status"),
]


async def test_invalid_callback_is_refused_by_field(offline: Vendor) -> None:
    for raw, field in WRONG:
        answer = await offline.http.post(offline.address(), content=raw, headers=JSON)
        assert answer.status_code == 422, raw
        problem = answer.json()
        assert field in [mistake["field"] for mistake in problem["errors"]]
        assert field in problem["detail"]
    form = await offline.http.post(offline.address(), content=b"a=b")
    assert (form.status_code, form.json()["code"]) == (415, "not_json")
    receipts = await offline.receipts()
    assert len(receipts) == len(WRONG) + 1
    assert {(each["fate"], each["task_id"]) for each in receipts} == {("rejected", None)}


async def test_no_file_contains_a_token(offline: Vendor) -> None:
    offline.record()
    await offline.send("processing")
    await offline.http.post(offline.address(secret="x" * 20), json=offline.body())

    assert [row["fate"] for row in await offline.receipts()] == ["applied", "rejected"]
    written = b"".join(path.read_bytes() for path in offline.data_dir.rglob("*") if path.is_file())
    assert b"rejected" in written
    assert offline.address().rpartition("=")[2].encode() not in written
    assert SECRET.encode() not in written


KEY = {"Authorization": f"Bearer {operator_key(SECRET)}"}
OPERATORS = ["/callbacks", "/metrics", "/docs", "/openapi.json", "/redoc", "/callbacks/", "/no"]


async def test_guarded_receiver_shows_receipts_only_to_the_operator(
    tmp_path: Path,
) -> None:
    async with receiving(tmp_path, callback_guarded=True) as vendor:
        http = vendor.http
        for path in OPERATORS:
            refused = await http.get(path)
            with_secret = await http.get(path, headers={"Authorization": f"Bearer {SECRET}"})
            assert refused.status_code == with_secret.status_code == 401, path
            assert refused.headers["www-authenticate"] == "Bearer"
            assert refused.headers["content-type"] == "application/problem+json"
            assert refused.json()["code"] == "not_authorized"
            assert (await http.get(path, headers=KEY)).status_code != 401
        vendor.record()
        assert (await vendor.send("processing")).status_code == 200
        assert (await http.post(vendor.address(secret="x" * 40), json={})).status_code == 404
        assert (await http.get("/healthz")).status_code == 200
        assert (await http.get("/readyz")).status_code == 503


async def test_unguarded_receiver_shows_everything(offline: Vendor) -> None:
    for path in ("/callbacks?job_id=x", "/metrics", "/docs", "/openapi.json"):
        assert (await offline.http.get(path)).status_code == 200
    assert (await offline.http.get("/no")).status_code == 404


def test_exposed_receiver_is_guarded_by_default() -> None:
    for given, guarded in (
        ({}, False),
        ({"listen_host": "localhost"}, False),
        ({"listen_host": "::1"}, False),
        ({"listen_host": "0.0.0.0"}, True),
        ({"listen_host": "192.168.1.5"}, True),
        ({"listen_host": "receiver.example"}, True),
        ({"listen_host": "0.0.0.0", "callback_guarded": "off"}, False),
        ({"callback_guarded": "on"}, True),
        ({"callback_url": "https://hooks.example"}, True),
        ({"callback_url": "http://[::1]:8001"}, False),
    ):
        settings = CallbackSettings.model_validate({"callback_secret": SecretStr(SECRET), **given})
        assert settings.callback_guarded is guarded


async def test_receiver_works_without_temporal_and_logs_no_token(tmp_path: Path) -> None:
    environment = {
        "DATA_DIR": str(tmp_path),
        "CALLBACK_SECRET": SECRET,
        "TEMPORAL_ADDRESS": f"127.0.0.1:{free_port()}",
        "LOG_LEVEL": "DEBUG",
        "LOG_FORMAT": "json",
    }
    async with (
        running("services.callback", "CALLBACK_PORT", environment=environment) as service,
        http_client(service.base) as http,
    ):
        vendor = Vendor(http, new_job_id(), tmp_path)
        vendor.record()
        assert (await vendor.send("processing")).status_code == 200
        away = await vendor.send("succeed")
        assert (away.status_code, away.headers["retry-after"]) == (503, "1")
        assert (await http.post(vendor.address(secret="x" * 20), json={})).status_code == 404
        assert 'fate="rejected"' in (await http.get("/metrics")).text
        status, output = await service.terminated()

    # uvicorn ends well, then lets the signal have its default effect.
    assert status in (0, -signal.SIGTERM)
    assert vendor.job_id in output
    assert "token" not in output
    assert vendor.address().rpartition("=")[2] not in output
