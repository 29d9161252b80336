"""Every HTTP service answers for known hosts only, and changes nothing for a page elsewhere."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from urllib.parse import urlsplit

import httpx
import pytest
import pytest_asyncio
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from compose.stack.services import ALL, API, CALLBACK, IMAGE, TEMPORAL, VIDEO, Service
from shared.http.client import http_client
from tests.fixtures.processes import free_port, running
from tests.services.mock_core.serving import comfyui, kling, served

pytestmark = pytest.mark.asyncio(loop_scope="module")

OURS = [service for service in ALL if service is not TEMPORAL]
FURTHER = "gateway.example"
HOSTS = f"{FURTHER}, 2001:DB8::1"
# A mock needs no process of its own.
MOCKS = {IMAGE: comfyui, VIDEO: kling}
OTHER = f"https://{FURTHER}"
EVIL = "http://evil.example"
# Requests that each service would answer if it did not check their host and origin.
CHANGES = [
    (API, "PUT", "/slots"),
    (CALLBACK, "POST", "/callback/kling"),
    (IMAGE, "POST", "/img/submit"),
    (IMAGE, "POST", "/prompt"),
    (IMAGE, "POST", "/api/queue"),
    (IMAGE, "POST", "/interrupt"),
    (IMAGE, "POST", "/admin/reset"),
    (VIDEO, "POST", "/video/submit"),
    (VIDEO, "POST", "/v1/videos/image2video"),
    (VIDEO, "POST", "/image-to-video/kling-3.0"),
    (VIDEO, "DELETE", "/admin/faults"),
    (VIDEO, "PUT", "/admin/config"),
]


Bases = dict[Service, str]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bases(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bases]:
    """Where each service answers; its settings name two further hosts."""
    async with AsyncExitStack() as stack:
        found = {
            mock: await stack.enter_async_context(served(app(allowed_hosts=HOSTS)))
            for mock, app in MOCKS.items()
        }
        for service in set(OURS) - set(MOCKS):
            folder = tmp_path_factory.mktemp(service.name)
            environment = {
                "DATA_DIR": str(folder),
                "CALLBACK_SECRET": "x" * 32,
                "TEMPORAL_ADDRESS": f"127.0.0.1:{free_port()}",
                "API_PUBLIC_URL": "https://api.example/base",
                "CALLBACK_URL": "https://callbacks.example",
                "ALLOWED_HOSTS": HOSTS,
            }
            process = running(
                service.module, service.port, environment=environment, log=folder / "log"
            )
            found[service] = (await stack.enter_async_context(process)).base
        yield found


async def raw(base: str, head: str) -> tuple[int, bytes]:
    """Status and body of an answer to a head that no client would send."""
    parts = urlsplit(base)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(head.replace("\n", "\r\n").encode() + b"\r\n\r\n")
    try:
        answer = await asyncio.wait_for(reader.read(), 60)
    finally:
        writer.close()
    return int(answer.split()[1]), answer.partition(b"\r\n\r\n")[2]


def is_problem(answer: httpx.Response, status: int, code: str) -> bool:
    assert answer.headers["content-type"] == "application/problem+json"
    found = answer.json()
    assert {"type", "title", "detail"} < found.keys()
    return (answer.status_code, found["status"], found["code"]) == (status, status, code)


@pytest.mark.parametrize("service", OURS, ids=lambda service: service.name)
async def test_rebound_name_is_refused(service: Service, bases: Bases) -> None:
    """A page that has its own name lead to us sends that name as `Host`."""
    base = bases[service]
    async with http_client(base) as http:
        port = urlsplit(base).port
        for host in ("evil.example", f"evil.example:{port}", "127.0.0.1.evil.example", "10.0.0.1"):
            for path in ("/healthz", "/metrics", "/docs", "/openapi.json", "/", "/nowhere"):
                answer = await http.get(path, headers={"Host": host})
                assert is_problem(answer, 421, "unknown_host"), (host, path)
            answer = await http.options("/", headers={"Host": host, "Origin": f"http://{host}"})
            assert is_problem(answer, 421, "unknown_host"), host
        for head in (
            "\nHost: localhost\nHost: localhost",
            "",
            "\nHost:",
            "\nHost: [",
            "\nHost: a b",
        ):
            # No or two names are no request of HTTP 1.1: the server may say so before us.
            status, _ = await raw(base, f"GET /healthz HTTP/1.1{head}\nConnection: close")
            assert status in (400, 421), head
        large = f"POST / HTTP/1.1\nHost: evil.example\nContent-Length: {10**12}\nConnection: close"
        assert (await raw(base, large))[0] == 421

        names = ["127.0.0.1", f"LOCALHOST:{port}", "[::1]:1", FURTHER, "[2001:db8::1]:80"]
        names += {API: ["api.example"], CALLBACK: ["callbacks.example:443"]}.get(service, [])
        for host in names:
            assert (await http.get("/healthz", headers={"Host": host})).status_code == 200, host


@pytest.mark.parametrize("service", [API, IMAGE], ids=lambda service: service.name)
async def test_rebound_name_and_foreign_page_get_no_socket(service: Service, bases: Bases) -> None:
    path = "/ws/jobs" if service is API else "/ws"
    base = bases[service]
    url = base.replace("http", "ws", 1) + path
    for headers, status, code in (
        ({"Host": "evil.example"}, 421, "unknown_host"),
        ({"Origin": EVIL}, 403, "foreign_origin"),
        ({"Origin": "null"}, 403, "foreign_origin"),
        ({"Origin": "http://["}, 403, "foreign_origin"),
        ({"Host": "evil.example", "Origin": EVIL}, 421, "unknown_host"),
    ):
        refused, body = await handshake(base, path, headers)
        assert (refused, json.loads(body)["code"]) == (status, code), headers
    with pytest.raises(InvalidStatus):
        await connect(url, proxy=None, origin=EVIL)  # type: ignore[arg-type]
    for origin in (None, base, OTHER):
        async with connect(url, proxy=None, origin=origin):  # type: ignore[arg-type]
            pass


async def handshake(base: str, path: str, headers: dict[str, str]) -> tuple[int, bytes]:
    lines = {
        "Host": base.removeprefix("http://"),
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    } | headers
    head = "".join(f"\n{name}: {value}" for name, value in lines.items())
    return await raw(base, f"GET {path} HTTP/1.1{head}")


@pytest.mark.parametrize("service", [API, CALLBACK, IMAGE, VIDEO], ids=lambda it: it.name)
async def test_foreign_page_changes_nothing(service: Service, bases: Bases) -> None:
    base = bases[service]
    async with http_client(base) as http:
        changes = [(method, path) for each, method, path in CHANGES if each is service]
        for origin in (EVIL, "null", "http://[", "localhost", "http://localhost.evil.example", ""):
            for method, path in changes:
                answer = await http.request(method, path, json={}, headers={"Origin": origin})
                assert is_problem(answer, 403, "foreign_origin"), (origin, path)
        # Never because it is what the request calls us.
        both = {"Host": FURTHER, "Origin": f"http://{FURTHER}.evil.example"}
        for method, path in changes:
            answer = await http.request(method, path, json={}, headers=both)
            assert is_problem(answer, 403, "foreign_origin")
        for ours in ({}, *({"Origin": it} for it in (base, "http://localhost:3000", OTHER))):
            for method, path in changes:
                answer = await http.request(method, path, json={}, headers=ours)
                assert answer.status_code not in (403, 421), (ours, path)


@pytest.mark.parametrize("service", [API, CALLBACK, IMAGE, VIDEO], ids=lambda it: it.name)
async def test_preflight_of_a_foreign_page_is_refused(service: Service, bases: Bases) -> None:
    asked = {
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "content-type",
    }
    base = bases[service]
    async with http_client(base) as http:
        for method, path in [(method, path) for each, method, path in CHANGES if each is service]:
            answer = await http.options(path, headers={**asked, "Origin": EVIL})
            assert not answer.is_success, (method, path)
            assert not [name for name in answer.headers if name.startswith("access-control-")]


@pytest.mark.parametrize("service", [IMAGE, VIDEO], ids=lambda service: service.name)
async def test_form_of_a_foreign_page_cannot_control_a_mock(service: Service, bases: Bases) -> None:
    """A form is what a page may post anywhere without asking, by browsers without `Origin`, too."""
    rule = json.dumps({"where": "submit", "do": "refuse"})
    base = bases[service]
    async with http_client(base) as http:
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
            for path in ("faults", "reset", "restart"):
                for content in (rule, ""):
                    answer = await http.post(
                        f"/admin/{path}", content=content, headers={"Content-Type": kind}
                    )
                    assert is_problem(answer, 415, "not_json"), (kind, path)
        assert (await http.post("/admin/faults", content=rule)).status_code == 422
        assert (await http.get("/admin/faults")).json()["rules"] == []
        fine = {"Content-Type": "application/json; charset=utf-8"}
        assert (await http.post("/admin/faults", content=rule, headers=fine)).status_code == 200
        assert (await http.post("/admin/reset")).status_code == 200
        assert (await http.delete("/admin/faults")).status_code == 200
