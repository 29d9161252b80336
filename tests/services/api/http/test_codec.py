"""The Temporal UI's codec endpoint: there with a key alone, and for the UI's page alone."""

import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from google.protobuf.json_format import MessageToDict, ParseDict
from playwright.async_api import expect
from temporalio.api.common.v1 import Payloads
from temporalio.client import Client

from services.api.app import create_app
from services.api.settings import ApiSettings
from services.api.temporal import Temporal
from shared.jobs.genvideo import GenVideoInput
from shared.jobs.ids import new_job_id
from shared.temporal.codec import PayloadKeys, data_converter
from tests.fixtures.browser import Chromium
from tests.fixtures.eventually import eventually
from tests.fixtures.processes import free_port, serving
from tests.fixtures.temporal import running_server
from tests.services.api.conftest import NewHttp
from tests.shared.temporal.test_codec import NEW, OLD, OTHER, PROMPT

UI = "http://127.0.0.1:8080"
TOKEN = "a-token-of-the-tests"
AS_JSON = {"Content-Type": "application/json"}
FROM_UI = {"Origin": UI, "X-Namespace": "default"}


@pytest.fixture
async def http(new_http: NewHttp) -> AsyncIterator[httpx.AsyncClient]:
    async with new_http(payload_key=f"{NEW},{OLD}") as http:
        yield http


async def sealed(key: str) -> dict[str, Any]:
    payloads = await data_converter(PayloadKeys.parse(key)).encode([PROMPT])
    body: dict[str, Any] = MessageToDict(Payloads(payloads=payloads))
    return body


async def test_ui_decodes_stored_payloads(http: httpx.AsyncClient) -> None:
    for key in (NEW, OLD, ""):
        answer = await http.post("/codec/decode", json=await sealed(key), headers=FROM_UI)
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == UI
        payloads = ParseDict(answer.json(), Payloads()).payloads
        assert [payload.data.decode() for payload in payloads] == [f'"{PROMPT}"']


async def test_decoding_needs_the_token_if_one_is_set(new_http: NewHttp) -> None:
    async with new_http(payload_key=NEW, api_token=TOKEN) as http:
        refused = await http.post("/codec/decode", json=await sealed(NEW), headers=FROM_UI)
        assert (refused.status_code, refused.json()["code"]) == (401, "token_missing")
        bearer = {"Authorization": f"Bearer {TOKEN}"}
        headers = {**FROM_UI, **bearer}
        told = await http.post("/codec/decode", json=await sealed(NEW), headers=headers)
        assert told.status_code == 200

        assert (await http.post("/session", headers=bearer)).status_code == 204
        by_cookie = await http.post("/codec/decode", json=await sealed(NEW), headers=FROM_UI)
        assert by_cookie.status_code == 200
        assert by_cookie.headers["access-control-allow-credentials"] == "true"


async def test_ui_may_only_decode(http: httpx.AsyncClient) -> None:
    answer = await http.post("/codec/encode", json=await sealed(""), headers=FROM_UI)
    assert answer.status_code == 404
    asks = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type,x-namespace",
    }
    granted = await http.options("/codec/decode", headers={**FROM_UI, **asks})
    assert (granted.status_code, granted.headers["access-control-allow-origin"]) == (200, UI)
    foreign = await http.options("/codec/decode", headers={"Origin": "http://evil", **asks})
    other = await http.get("/healthz", headers={"Origin": UI})
    for answer in (foreign, other):
        assert "access-control-allow-origin" not in answer.headers
    for origin, code in (
        ("http://evil.example", "foreign_origin"),
        ("http://127.0.0.1:3000", "not_the_ui"),
        ("http://localhost:8080", "not_the_ui"),
    ):
        body = await sealed(NEW)
        refused = await http.post("/codec/decode", json=body, headers={"Origin": origin})
        assert (refused.status_code, refused.json()["code"]) == (403, code)
        assert PROMPT not in refused.text


async def test_unknown_key_is_named_and_without_a_key_there_is_no_endpoint(
    new_http: NewHttp,
) -> None:
    async with new_http(payload_key=OTHER) as http:
        answer = await http.post("/codec/decode", json=await sealed(NEW), headers=FROM_UI)
    assert answer.json()["code"] == "payload_unreadable"
    assert "PAYLOAD_KEY" in answer.json()["detail"]
    async with new_http() as http:
        answer = await http.post("/codec/decode", json=await sealed(NEW), headers=FROM_UI)
    assert answer.status_code in (403, 404)


async def test_invalid_payloads_are_refused(http: httpx.AsyncClient) -> None:
    for body in (b"", b"no", b"[1]", b'{"payloads": 1}', b'{"x": []}', b"\xff"):
        answer = await http.post("/codec/decode", content=body, headers=AS_JSON)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input"), body


async def test_uis_origin_is_written_as_browsers_do(new_http: NewHttp) -> None:
    for address, origin in (
        ("http://ui.example:80/temporal", "http://ui.example"),
        ("https://ui.example/", "https://ui.example"),
        ("https://ui.example:8443", "https://ui.example:8443"),
    ):
        async with new_http(payload_key=NEW, temporal_ui_url=address) as http:
            headers = {"Origin": origin}
            answer = await http.post("/codec/decode", json=await sealed(NEW), headers=headers)
        assert answer.headers["access-control-allow-origin"] == origin


UI_CALLS = ("/settings", "/cluster-info", "/namespaces", "/namespaces/default/search-attributes")


@asynccontextmanager
async def with_ui(port: int, codec: str) -> AsyncIterator[Client]:
    """Start a server with its UI as the stack does, and wait until both answer.

    The UI is served at once, while its own connection to the server needs a second more: until then
    each of its calls is a 503, and a page that is opened shows an error for good.
    """
    ui = ("--ui-port", str(port), f"--ui-codec-endpoint={codec}/codec")
    with running_server(*ui) as server:
        client = await server.client(NEW)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}/api/v1") as calls:

            async def statuses() -> set[int]:
                with contextlib.suppress(httpx.TransportError):
                    return {(await calls.get(path)).status_code for path in UI_CALLS}
                return set()

            await eventually(statuses, lambda found: found == {200})
        yield client


async def test_ui_shows_the_prompt(tmp_path: Path, chromium: Chromium) -> None:
    ui = free_port()
    settings = ApiSettings.model_validate(
        {"data_dir": tmp_path, "payload_key": NEW, "temporal_ui_url": f"http://127.0.0.1:{ui}"}
    )
    async with serving(create_app(settings)) as base, with_ui(ui, base) as client:
        job_id = new_job_id()
        await Temporal(client).start(job_id, GenVideoInput(prompt=PROMPT, style="ink"))
        url = f"http://127.0.0.1:{ui}/namespaces/default/workflows/{job_id}"
        async with chromium.page(url) as page:
            await expect(page.get_by_text(f'"prompt": "{PROMPT}"').first).to_be_visible()
