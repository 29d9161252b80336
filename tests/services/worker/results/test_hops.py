"""Whom a vendor's credentials reach, and where an answer to them may lead, over real HTTP."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.worker.policies import FETCH_TRIES
from services.worker.results import storage as module
from services.worker.results.disk import Disk
from services.worker.results.hops import MAX_REDIRECTS, Credentials
from services.worker.results.storage import Storage
from services.worker.vendors.vendor import Vendor
from shared.errors import BadResult, ResultNotAllowed
from shared.http.client import http_client
from shared.jobs.states import Step
from tests.services.mock_core.serving import served
from tests.services.worker import samples
from tests.services.worker.results.test_storage import JOB, left_behind
from tests.services.worker.results.test_storage_wire import over_sockets
from tests.services.worker.results.unconfined import Unconfined
from tests.services.worker.results.vendors import KEY, LOCKED, VENDOR


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FETCH_PAUSE_SECONDS", 0)


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
    data_dir: Path

    async def store(self, path: str = "/view", vendor: Vendor = LOCKED, at: str = "vendor") -> None:
        await self.storage.store(self.bases[at] + path, JOB, step=Step.IMAGE, vendor=vendor)


@asynccontextmanager
async def line_in(data_dir: Path) -> AsyncIterator[Line]:
    hosts = {"vendor": Host(), "cdn": Host(), "other": Host()}
    async with AsyncExitStack() as stack:
        bases = {k: await stack.enter_async_context(served(host)) for k, host in hosts.items()}
        inside = frozenset(bases[each].removeprefix("http://") for each in ("vendor", "cdn"))
        http = await stack.enter_async_context(http_client(transport=over_sockets(inside)))
        storage = Storage(
            http,
            Disk(data_dir),
            checker=Unconfined(),
            vendors={Step.IMAGE: f"{bases['vendor']}/base", Step.VIDEO: "http://video"},
            data_dir=data_dir,
            max_bytes=10**6,
        )
        yield Line(**hosts, bases=bases, storage=storage, data_dir=data_dir)


MINE = KEY["X-API-Key"]


async def test_the_vendors_own_address_gets_its_credentials(tmp_path: Path) -> None:
    async with line_in(tmp_path) as line:
        await line.store()
        assert line.vendor.seen == [("/view", MINE)]


def test_they_are_of_one_scheme_host_and_port_and_never_shown() -> None:
    ours = Credentials("https://vendor.example:8443/base", KEY)
    assert ours.of(httpx.URL("https://vendor.example:8443/view")) == KEY
    for other in (
        "http://vendor.example:8443/view",
        "https://vendor.example/view",
        "https://www.vendor.example:8443/view",
    ):
        assert ours.of(httpx.URL(other)) == {}
    assert "a-key" not in repr(ours)


async def test_nobody_else_gets_them(tmp_path: Path) -> None:
    async with line_in(tmp_path) as line:
        await line.store(at="cdn")
        await line.store(vendor=VENDOR)
        assert line.cdn.seen == [("/view", None)]
        assert line.vendor.seen == [("/view", None)]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_an_answer_to_them_may_lead_to_an_allowed_host_without_them(
    tmp_path: Path, status: int
) -> None:
    async with line_in(tmp_path) as line:
        line.vendor.moved["/view"] = status, f"{line.bases['cdn']}/signed?sig=1"
        await line.store()
        assert (line.vendor.seen, line.cdn.seen) == ([("/view", MINE)], [("/signed", None)])
        assert len(left_behind(tmp_path)) == 1


async def test_within_the_vendors_address_they_go_along(tmp_path: Path) -> None:
    async with line_in(tmp_path) as line:
        line.vendor.moved |= {"/view": (302, "/api/view"), "/api/view": (302, "there")}
        await line.store()
        assert line.vendor.seen == [("/view", MINE), ("/api/view", MINE), ("/api/there", MINE)]


async def test_it_leads_to_no_other_host(tmp_path: Path) -> None:
    async with line_in(tmp_path) as line:
        line.vendor.moved["/view"] = 302, f"{line.bases['other']}/signed?sig=secret"
        with pytest.raises(ResultNotAllowed) as refused:
            await line.store()
        assert line.other.seen == []
        assert "secret" not in refused.value.message
        assert left_behind(tmp_path) == []


async def test_an_allowed_host_leads_nowhere(tmp_path: Path) -> None:
    async with line_in(tmp_path) as line:
        line.vendor.moved["/view"] = 302, f"{line.bases['cdn']}/signed"
        line.cdn.moved["/signed"] = 302, f"{line.bases['vendor']}/other"
        with pytest.raises(BadResult, match="answered 302"):
            await line.store()
        assert line.vendor.seen == [("/view", MINE)] * FETCH_TRIES


async def test_a_vendor_without_credentials_leads_nowhere(tmp_path: Path) -> None:
    async with line_in(tmp_path) as line:
        line.vendor.moved["/view"] = 302, f"{line.bases['cdn']}/signed"
        with pytest.raises(BadResult, match="answered 302"):
            await line.store(vendor=VENDOR)
        assert line.cdn.seen == []


async def test_a_circle_is_left(tmp_path: Path) -> None:
    async with line_in(tmp_path) as line:
        line.vendor.moved["/view"] = 302, "/view"
        with pytest.raises(BadResult, match="more than 3 times"):
            await line.store()
        assert len(line.vendor.seen) == (MAX_REDIRECTS + 1) * FETCH_TRIES


@pytest.mark.parametrize("place", ["http://[", "ftp://cdn/1", "//", "http://\x7f/"])
async def test_a_place_that_is_none_is_no_result(tmp_path: Path, place: str) -> None:
    async with line_in(tmp_path) as line:
        line.vendor.moved["/view"] = 302, place
        with pytest.raises((BadResult, ResultNotAllowed)):
            await line.store()
        assert left_behind(tmp_path) == []


@pytest.mark.parametrize("status", [401, 403])
async def test_credentials_that_are_refused_are_not_paid_for_again(
    tmp_path: Path, status: int
) -> None:
    async with line_in(tmp_path) as line:
        line.vendor.moved["/view"] = status, ""
        with pytest.raises(ResultNotAllowed, match=f"credentials: {status}") as refused:
            await line.store()
        assert MINE not in refused.value.message
        assert len(line.vendor.seen) == 1
        with pytest.raises(BadResult):
            await line.store(vendor=VENDOR)
