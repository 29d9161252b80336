"""What stands before the Temporal UI, over real sockets: who gets through, and with what."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from compose.ui_proxy import METHODS, ui_app
from shared.http.client import http_client
from shared.http.hosts import listed
from tests.services.mock_core.serving import served

PUBLIC = "https://ui.example"
FURTHER = "Tunnel.example, 10.1.2.3,[fd00::1], fd00::2"


class Ui:
    """Answers every request with the bytes that it got, and notes the requests."""

    def __init__(self) -> None:
        self.asked: list[Request] = []
        self.gone = asyncio.Event()

    def app(self) -> Starlette:
        return Starlette(routes=[Route("/{path:path}", self.answer, methods=METHODS)])

    async def answer(self, request: Request) -> Response:
        self.asked.append(request)
        if request.url.path == "/endless":
            return StreamingResponse(self._endless(), media_type="text/event-stream")
        body = await request.body()
        return Response(body, headers={"Set-Cookie": "a=1", "Content-Encoding": "ours"})

    async def _endless(self) -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"data: news\n\n"
                await asyncio.sleep(0.01)
        finally:
            self.gone.set()


@pytest.fixture
async def ui() -> Ui:
    return Ui()


async def numbers(_: Request) -> Response:
    return Response("action 1")


@pytest.fixture
async def client(ui: Ui) -> AsyncIterator[httpx.AsyncClient]:
    metrics = Starlette(routes=[Route("/metrics", numbers)])
    async with served(ui.app()) as behind, served(metrics) as counted, http_client() as onward:
        proxy = ui_app(onward, behind, counted, public_url=PUBLIC, further=listed(FURTHER))
        async with served(proxy) as url, httpx.AsyncClient(base_url=url, timeout=60) as http:
            yield http


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1:8080", "ui.example", "tunnel.example:8080", "10.1.2.3"),
        *("[fd00::1]:8080", "[fd00::2]"),
    ],
)
async def test_known_hosts_pass_unchanged(client: httpx.AsyncClient, ui: Ui, host: str) -> None:
    headers = {"Host": host, "Accept-Encoding": "br", "Connection": "Upgrade", "Upgrade": "h2c"}
    answer = await client.get("/a%2Fb?b=c&b=%20", headers=headers)
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["set-cookie"] == "a=1"
    [asked] = ui.asked
    assert asked.headers["host"] == host
    assert asked.headers["accept-encoding"] == "br"
    assert "upgrade" not in asked.headers
    assert (asked.scope["raw_path"], asked.scope["query_string"]) == (b"/a%2Fb", b"b=c&b=%20")


async def test_ui_clients_see_the_servers_numbers(client: httpx.AsyncClient, ui: Ui) -> None:
    assert (await client.get("/metrics")).text == "action 1"
    foreign = await client.get("/metrics", headers={"Host": "evil.example"})
    assert foreign.status_code == 421
    assert ui.asked == []


@pytest.mark.parametrize("host", ["evil.example:8080", "127.0.0.1.evil.example", "10.1.2.4"])
async def test_other_hosts_get_421(client: httpx.AsyncClient, ui: Ui, host: str) -> None:
    answer = await client.get("/", headers={"Host": host})
    assert (answer.status_code, answer.json()["code"]) == (421, "unknown_host")
    assert ui.asked == []


@pytest.mark.parametrize(
    ("origin", "host"),
    [
        (None, "127.0.0.1:8080"),
        ("http://127.0.0.1:8080", "127.0.0.1:8080"),
        ("https://ui.example", "127.0.0.1:8080"),
        ("https://tunnel.example", "tunnel.example"),
    ],
)
async def test_own_pages_may_change_things(
    client: httpx.AsyncClient, origin: str | None, host: str
) -> None:
    headers = {"Host": host} | ({"Origin": origin} if origin else {})
    answer = await client.post("/", content=b"body", headers=headers)
    # As it came: the UI's own compression is the browser's to undo.
    assert answer.headers["content-encoding"] == "ours"
    assert (answer.status_code, answer.content) == (200, b"body")


@pytest.mark.parametrize(
    "origin",
    [
        *("http://evil.example", "null", "http://127.0.0.1:6889", "http://localhost:8080", ""),
        *("http://ui.example", "https://ui.example.evil.example"),
    ],
)
async def test_pages_of_other_sites_may_not(client: httpx.AsyncClient, ui: Ui, origin: str) -> None:
    headers = {"Host": "127.0.0.1:8080", "Origin": origin}
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        answer = await client.request(method, "/", content=b"body", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (403, "foreign_origin")
    assert ui.asked == []
    assert (await client.get("/", headers=headers)).status_code == 200


async def test_endless_body_is_streamed(client: httpx.AsyncClient) -> None:
    async def parts() -> AsyncIterator[bytes]:
        yield b"one "
        yield b"two"

    assert (await client.post("/", content=parts())).content == b"one two"


async def test_ui_notices_a_client_that_has_left(client: httpx.AsyncClient, ui: Ui) -> None:
    async with client.stream("GET", "/endless") as news:
        assert await anext(news.aiter_bytes()) == b"data: news\n\n"
    await asyncio.wait_for(ui.gone.wait(), 60)


async def test_unreachable_ui_is_reported() -> None:
    nowhere = "http://127.0.0.1:1"
    async with http_client() as onward:
        proxy = ui_app(onward, nowhere, nowhere, public_url=PUBLIC)
        async with served(proxy) as url:
            answer = await onward.get(url)
    assert (answer.status_code, answer.json()["code"]) == (502, "ui_unavailable")
