"""Only named hosts are asked, at public addresses that were looked at; and who gets credentials."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from services.worker.settings.worker import WorkerSettings
from services.worker.vendors.service import ImageService
from shared.errors import BadResult, ResultNotAllowed
from shared.http.client import http_client
from shared.jobs.genvideo import IMAGE
from shared.pipeline import storage as module
from shared.pipeline.fetching import MAX_REDIRECTS, CheckedTransport, Credentials, result_transport
from shared.pipeline.hosts import Address, is_public
from shared.pipeline.policies import FETCH_TRIES
from shared.pipeline.storage import Storage
from shared.pipeline.vendor import Traits, Vendor
from tests.services.mock_core.serving import Receiver, served
from tests.services.worker import samples
from tests.services.worker.results.helpers import KEY, LOCKED, VENDOR
from tests.shared.pipeline.test_storage import JOB, left_behind, over_sockets, storage_in

PUBLIC = "93.184.216.34"


class Asked:
    """A transport that keeps the requests, and a resolver that gives one answer after another."""

    def __init__(self, *answers: str, outside: str = "cdn.example", refused: str = "") -> None:
        self.requests: list[httpx.Request] = []
        self.names: list[str] = []
        self._answers: Iterator[str] = iter(answers)
        self._refused = refused
        self.transport = CheckedTransport(
            httpx.MockTransport(self._answer),
            inside=frozenset({"comfy:8188"}),
            outside=frozenset({outside}),
            resolve=self._resolve,
        )

    async def get(self, url: str) -> httpx.Response:
        async with http_client(transport=self.transport) as http:
            return await http.get(url)

    async def _resolve(self, host: str, port: int) -> list[Address]:
        self.names.append(f"{host}:{port}")
        return [ip_address(each) for each in next(self._answers).split()]

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if request.url.host == self._refused:
            raise httpx.ConnectError("refused")
        self.requests.append(request)
        return httpx.Response(200)


NOT_PUBLIC = [
    "127.0.0.1", "127.8.8.8", "10.0.0.1", "172.16.3.4", "192.168.1.1", "169.254.169.254",
    "100.64.0.1", "0.0.0.0", "224.0.0.1", "255.255.255.255", "240.0.0.1", "198.18.0.1",
    "::", "::1", "fe80::1", "fc00::1", "fd12::9", "ff02::1", "2001:db8::1",
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1",
    "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2002:c0a8:101::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    # Not private by the books, and still not hosts of the internet: site-local addresses, relays,
    # tunnels and translators, protocol assignments, and what nobody was ever given.
    "fec0::1", "feff::9", "192.88.99.1", "192.0.0.9", "192.0.0.10", "168.63.129.16",
    "2002:808:808::1", "2001:0:4136:e378:8000:63bf:f7f7:f7f7", "::8.8.8.8", "64:ff9b:1::808:808",
    "::ffff:0:808:808", "::ffff:c058:6301", "2001:1::1", "2001:20::1", "3ffe::1", "5f00::1",
    "4000::1",
]  # fmt: skip


@pytest.mark.parametrize("address", NOT_PUBLIC)
async def test_allowed_name_with_a_private_address_is_refused(address: str) -> None:
    asked = Asked(address)
    with pytest.raises(ResultNotAllowed, match="not public"):
        await asked.get("https://cdn.example/1.mp4")
    assert asked.requests == []


@pytest.mark.parametrize(
    "address",
    [PUBLIC, "2606:2800:220:1::1", "2001:200::1", f"::ffff:{PUBLIC}", f"64:ff9b::{PUBLIC}"],
)
def test_public_addresses(address: str) -> None:
    assert is_public(ip_address(address))


async def test_one_private_address_refuses_the_host() -> None:
    asked = Asked(f"{PUBLIC} 10.0.0.1")
    with pytest.raises(ResultNotAllowed):
        await asked.get("https://cdn.example/1.mp4")
    assert asked.requests == []


async def test_checked_address_is_connected_to_under_the_hosts_name() -> None:
    """The name is looked up once: a second answer, from inside, comes too late."""
    asked = Asked(PUBLIC, "127.0.0.1")
    await asked.get("https://cdn.example/1.mp4")
    [request] = asked.requests
    assert asked.names == ["cdn.example:443"]
    assert request.url.host == PUBLIC
    assert request.headers["host"] == "cdn.example"
    assert request.extensions["sni_hostname"] == "cdn.example"


async def test_next_address_follows_a_refused_connection() -> None:
    asked = Asked(f"2606:2800:220:1::1 {PUBLIC}", refused="2606:2800:220:1::1")
    await asked.get("https://cdn.example/1.mp4")
    assert [request.url.host for request in asked.requests] == [PUBLIC]


@pytest.mark.parametrize("url", ["http://comfy:8188/view", "http://COMFY:8188/view"])
async def test_own_hosts_may_have_any_address(url: str) -> None:
    asked = Asked("192.168.1.7")
    await asked.get(url)
    assert [request.url.host for request in asked.requests] == ["192.168.1.7"]


async def test_host_named_by_its_address_may_be_private() -> None:
    asked = Asked("10.0.0.9", outside="10.0.0.9:9000")
    await asked.get("http://10.0.0.9:9000/1.mp4")
    assert len(asked.requests) == 1


@pytest.mark.parametrize(
    "url",
    [
        "https://cdn.example:444/1.mp4",
        "https://cdn.example.evil/1.mp4",
        "https://user@cdn.example/1.mp4",
        "http://comfy/view",
        "http://169.254.169.254/latest",
        "http://[::1]/",
        "ftp://cdn.example/1.mp4",
    ],
)
async def test_unknown_host_is_not_resolved(url: str) -> None:
    asked = Asked(PUBLIC)
    with pytest.raises((ResultNotAllowed, httpx.UnsupportedProtocol)):
        await asked.get(url)
    assert (asked.names, asked.requests) == ([], [])


@pytest.mark.parametrize(
    ("pattern", "url"),
    [
        ("*.cdn.example", "https://v15.cdn.example/1.mp4"),
        ("*.cdn.example", "https://a.b.cdn.example:443/1.mp4"),
        ("*.cdn.example", "http://V15.CDN.Example/1.mp4"),
        ("*.cdn.example:8443", "https://v15.cdn.example:8443/1.mp4"),
        ("*.cdn.example:443", "https://v15.cdn.example/1.mp4"),
    ],
)
async def test_pattern_allows_names_below_a_domain(pattern: str, url: str) -> None:
    await Asked(PUBLIC, outside=pattern).get(url)
    inside = Asked("10.0.0.1", outside=pattern)
    with pytest.raises(ResultNotAllowed, match="not public"):
        await inside.get(url)
    assert inside.requests == []


@pytest.mark.parametrize(
    ("pattern", "url"),
    [
        ("*.cdn.example", "https://cdn.example/1.mp4"),
        ("*.cdn.example", "https://evilcdn.example/1.mp4"),
        ("*.cdn.example", "https://v15.cdn.example.evil/1.mp4"),
        ("*.cdn.example", "https://v15.cdn.example:8443/1.mp4"),
        ("*.cdn.example", "https://v15.cdn.example@evil.example/1.mp4"),
        ("*.cdn.example", "https://evil.example/.cdn.example"),
        ("*.cdn.example:8443", "https://v15.cdn.example/1.mp4"),
        # What no resolver can be asked for.
        ("*.cdn.example", f"https://{'a' * 64}.cdn.example/1.mp4"),
        ("*.cdn.example", "https://a..cdn.example/1.mp4"),
        ("*.cdn.example", "https://.cdn.example/1.mp4"),
        ("*.cdn.example", f"https://{'a.' * 130}cdn.example/1.mp4"),
        ("*.cdn.example", "https://a%00.cdn.example/1.mp4"),
    ],
)
async def test_pattern_allows_no_other_name(pattern: str, url: str) -> None:
    asked = Asked(PUBLIC, outside=pattern)
    with pytest.raises(ResultNotAllowed):
        await asked.get(url)
    assert (asked.names, asked.requests) == ([], [])


async def test_hosts_of_the_vendor_add_to_the_setting() -> None:
    settings = WorkerSettings(callback_secret=SecretStr("0" * 32), result_hosts="files.example")
    transport = result_transport(settings, VENDOR, Elsewhere(httpx.AsyncClient()))
    assert transport.outside == {"files.example", "*.cdn.example"}
    assert transport.inside == {"127.0.0.1:6889", "127.0.0.1:16882"}


class Elsewhere(ImageService):
    traits = Traits(result_hosts=("*.CDN.example",))


async def test_real_socket_with_the_systems_resolver() -> None:
    receiver = Receiver()
    async with served(receiver) as base:
        url = base.replace("127.0.0.1", "localhost")
        host = frozenset({url.removeprefix("http://")})
        async with http_client(transport=over_sockets(inside=host)) as http:
            assert (await http.get(url)).is_success
        async with http_client(transport=over_sockets(outside=host)) as http:
            with pytest.raises(ResultNotAllowed, match="'localhost' resolves to"):
                await http.get(url)
    assert [{headers["host"]} for headers in receiver.headers] == [host]


async def test_connection_serves_one_request() -> None:
    """Another host may share the address of the one that its certificate is for."""
    peers: set[tuple[str, int]] = set()

    async def host(scope: Any, receive: Any, send: Any) -> None:
        peers.add(scope["client"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async with served(host) as base:
        named = base.removeprefix("http://")
        settings = WorkerSettings(callback_secret=SecretStr("0" * 32), result_hosts=named)
        async with http_client(transport=result_transport(settings)) as http:
            for _ in range(2):
                assert (await http.get(base)).is_success
    assert len(peers) == 2


@pytest.fixture
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FETCH_PAUSE_SECONDS", 0)


pytestmark = pytest.mark.usefixtures("_no_pause")


@dataclass
class Host:
    """A status and a place to go to by path, else a file; it remembers the keys that it saw."""

    moved: dict[str, tuple[int, str]] = field(default_factory=dict)
    seen: list[tuple[str, str | None]] = field(default_factory=list)

    async def __call__(
        self, scope: Any, receive: Any, send: Callable[[dict[str, Any]], Awaitable[None]]
    ) -> None:
        headers: Mapping[bytes, bytes] = dict(scope["headers"])
        key = headers.get(b"x-api-key")
        self.seen.append((scope["path"], None if key is None else key.decode()))
        status, place = self.moved.get(scope["path"], (200, ""))
        location = [(b"location", place.encode())] if place else []
        await send({"type": "http.response.start", "status": status, "headers": location})
        body = samples.png() if status == 200 else b""
        await send({"type": "http.response.body", "body": body})


@dataclass
class Line:
    """A vendor, another host that is allowed, one that is not, and what is stored of them."""

    vendor: Host
    cdn: Host
    other: Host
    bases: dict[str, str]
    storage: Storage

    async def store(self, path: str = "/view", vendor: Vendor = LOCKED, at: str = "vendor") -> None:
        await self.storage.store(self.bases[at] + path, JOB, stage=IMAGE, vendor=vendor)


@pytest.fixture
async def line(tmp_path: Path) -> AsyncIterator[Line]:
    hosts = {"vendor": Host(), "cdn": Host(), "other": Host()}
    async with AsyncExitStack() as stack:
        bases = {k: await stack.enter_async_context(served(host)) for k, host in hosts.items()}
        inside = frozenset(bases[each].removeprefix("http://") for each in ("vendor", "cdn"))
        http = await stack.enter_async_context(http_client(transport=over_sockets(inside=inside)))
        storage = storage_in(tmp_path, http, image=f"{bases['vendor']}/base", video="http://video")
        yield Line(**hosts, bases=bases, storage=storage)


MINE = KEY["X-API-Key"]


async def test_vendors_address_gets_its_credentials(line: Line) -> None:
    await line.store()
    assert line.vendor.seen == [("/view", MINE)]


def test_credentials_are_for_one_origin_and_never_shown() -> None:
    ours = Credentials("https://vendor.example:8443/base", KEY)
    assert ours.of(httpx.URL("https://vendor.example:8443/view")) == KEY
    for other in (
        "http://vendor.example:8443/view",
        "https://vendor.example/view",
        "https://www.vendor.example:8443/view",
    ):
        assert ours.of(httpx.URL(other)) == {}
    assert "a-key" not in repr(ours)


async def test_other_hosts_get_no_credentials(line: Line) -> None:
    await line.store(at="cdn")
    await line.store(vendor=VENDOR)
    assert line.cdn.seen == [("/view", None)]
    assert line.vendor.seen == [("/view", None)]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirect_to_an_allowed_host_carries_no_credentials(
    line: Line, tmp_path: Path, status: int
) -> None:
    line.vendor.moved["/view"] = status, f"{line.bases['cdn']}/signed?sig=1"
    await line.store()
    assert (line.vendor.seen, line.cdn.seen) == ([("/view", MINE)], [("/signed", None)])
    assert len(left_behind(tmp_path)) == 1


async def test_redirect_within_the_vendors_address_carries_credentials(line: Line) -> None:
    line.vendor.moved |= {"/view": (302, "/api/view"), "/api/view": (302, "there")}
    await line.store()
    assert line.vendor.seen == [("/view", MINE), ("/api/view", MINE), ("/api/there", MINE)]


async def test_redirect_to_another_host_is_refused(line: Line, tmp_path: Path) -> None:
    line.vendor.moved["/view"] = 302, f"{line.bases['other']}/signed?sig=secret"
    with pytest.raises(ResultNotAllowed) as refused:
        await line.store()
    assert line.other.seen == []
    assert "secret" not in refused.value.message
    assert left_behind(tmp_path) == []


async def test_redirect_of_a_vendor_without_credentials_is_not_followed(line: Line) -> None:
    line.vendor.moved["/view"] = 302, f"{line.bases['cdn']}/signed"
    with pytest.raises(BadResult, match="answered 302"):
        await line.store(vendor=VENDOR)
    assert line.cdn.seen == []


async def test_redirect_loop_ends(line: Line) -> None:
    line.vendor.moved["/view"] = 302, "/view"
    with pytest.raises(BadResult, match="more than 3 times"):
        await line.store()
    assert len(line.vendor.seen) == (MAX_REDIRECTS + 1) * FETCH_TRIES


@pytest.mark.parametrize("status", [401, 403])
async def test_refused_credentials_cost_no_further_attempt(line: Line, status: int) -> None:
    line.vendor.moved["/view"] = status, ""
    with pytest.raises(ResultNotAllowed, match=f"credentials: {status}") as refused:
        await line.store()
    assert MINE not in refused.value.message
    assert len(line.vendor.seen) == 1
    with pytest.raises(BadResult):
        await line.store(vendor=VENDOR)
