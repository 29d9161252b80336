"""The wire to a vendor: what it holds, cuts and loses, and what it lets pass."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import httpx
import pytest
from starlette.requests import Request as Asked
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from compose.stack.machine.ports import free_ports
from tests.chaos.vendor_wire import Deed, Request, Route, VendorWire, vendor_wire
from tests.services.mock_core.serving import Service, served

SUBMIT, STATUS = "/video/submit", "/video/status/1"


@dataclass
class Vendor:
    """Tells what it was asked, and remembers it."""

    asked: list[str] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Asked(scope, receive)
        body = (await request.body()).decode()
        self.asked.append(f"{request.method} {request.url.path}")
        told = {"host": request.headers["host"], "query": request.url.query, "body": body}
        reply = JSONResponse(told, 202, {"X-Of-The-Vendor": "yes"})
        await reply(scope, receive, send)


@dataclass
class Scene:
    """A vendor, the wire to it, and a client at the wire's end."""

    vendor: Vendor
    target: str
    wire: VendorWire
    http: httpx.AsyncClient

    def submit(self, body: str = "{}") -> asyncio.Task[httpx.Response]:
        return asyncio.create_task(self.http.post(SUBMIT, content=body))

    async def overtaken(self) -> None:
        """Others have passed meanwhile, and what were not held would have, too."""
        await self.http.get(STATUS)


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    vendor = Vendor()
    async with (
        served(vendor) as target,
        vendor_wire(target) as wire,
        httpx.AsyncClient(base_url=wire.url, timeout=60, trust_env=False) as http,
    ):
        yield Scene(vendor, target, wire, http)


async def test_undisturbed_it_passes_everything_on(scene: Scene) -> None:
    reply = await scene.http.post(f"{SUBMIT}?a=b%20c", content="some body")

    assert (reply.status_code, reply.headers["x-of-the-vendor"]) == (202, "yes")
    here = scene.wire.url.removeprefix("http://")
    assert reply.json() == {"host": here, "query": "a=b%20c", "body": "some body"}


async def test_a_request_is_held_and_goes_on_at_its_release(scene: Scene) -> None:
    held = scene.wire.trouble(Route.SUBMIT, Deed.HOLD_REQUEST)
    sent = scene.submit('{"external_task_id": "job-1.video.1"}')
    assert (await held.struck()).external_id == "job-1.video.1"
    await scene.overtaken()
    assert scene.vendor.asked == [f"GET {STATUS}"]
    held.release()

    assert (await sent).status_code == 202


async def test_a_held_request_goes_on_though_its_sender_has_left(scene: Scene) -> None:
    held = scene.wire.trouble(Route.SUBMIT, Deed.HOLD_REQUEST)
    sent = scene.submit()
    await held.struck()
    sent.cancel()
    await asyncio.gather(sent, return_exceptions=True)
    assert scene.vendor.asked == []
    held.release()

    await scene.wire.quiet()
    assert scene.vendor.asked == [f"POST {SUBMIT}"]


async def test_a_reply_is_held_and_comes_at_its_release(scene: Scene) -> None:
    held = scene.wire.trouble(Route.SUBMIT, Deed.HOLD_REPLY)
    sent = scene.submit()
    await held.struck()
    await scene.overtaken()
    assert scene.vendor.asked == [f"POST {SUBMIT}", f"GET {STATUS}"]
    assert not sent.done()
    held.release()

    assert (await sent).status_code == 202


@pytest.mark.parametrize(("deed", "arrives"), [(Deed.CUT_REQUEST, False), (Deed.CUT_REPLY, True)])
async def test_a_cut_is_a_reset(scene: Scene, deed: Deed, arrives: bool) -> None:
    scene.wire.trouble(Route.SUBMIT, deed)

    with pytest.raises(httpx.ReadError):
        await scene.submit()
    assert bool(scene.vendor.asked) is arrives


async def test_a_lost_reply_is_waited_for_until_the_time_out(scene: Scene) -> None:
    lost = scene.wire.trouble(Route.SUBMIT, Deed.LOSE_REPLY)

    with pytest.raises(httpx.ReadTimeout):
        await scene.http.post(SUBMIT, timeout=0.2)
    await lost.struck()
    assert scene.vendor.asked == [f"POST {SUBMIT}"]


async def test_it_strikes_so_often_and_no_more(scene: Scene) -> None:
    cut = scene.wire.trouble(Route.SUBMIT, Deed.CUT_REQUEST, times=2)
    for _ in range(2):
        with pytest.raises(httpx.ReadError):
            await scene.submit()

    assert (await scene.submit()).status_code == 202
    assert (await cut.struck(2)).path == SUBMIT


async def test_a_release_ends_it(scene: Scene) -> None:
    scene.wire.trouble(Route.SUBMIT, Deed.CUT_REQUEST).release()

    assert (await scene.submit()).status_code == 202


async def test_other_routes_and_what_does_not_fit_pass(scene: Scene) -> None:
    def of_job_1(request: Request) -> bool:
        return "job-1" in (request.external_id or "")

    scene.wire.trouble(Route.STATUS, Deed.CUT_REQUEST)
    scene.wire.trouble(Route.SUBMIT, Deed.CUT_REQUEST, fits=of_job_1)

    assert (await scene.submit('{"client_id": "job-2.image.1"}')).status_code == 202
    with pytest.raises(httpx.ReadError):
        await scene.submit('{"client_id": "job-1.image.1"}')
    with pytest.raises(httpx.ReadError):
        await scene.http.get(STATUS)


async def test_a_vendor_that_is_not_there_is_away(scene: Scene) -> None:
    [port] = free_ports(1)
    async with vendor_wire(f"http://127.0.0.1:{port}") as wire:
        reply = await scene.http.get(f"{wire.url}{STATUS}")

    assert reply.status_code == 503


async def test_what_a_vendor_fetches_for_itself_is_not_struck(
    image_mock: Service, video_mock: Service
) -> None:
    """The video's vendor reaches the picture by the same address as the worker."""
    async with vendor_wire(str(image_mock.http.base_url).rstrip("/")) as wire:
        wire.trouble(Route.RESULT, Deed.CUT_REQUEST)
        await image_mock.http.post(f"{wire.url}/img/submit", json={"prompt": "a", "client_id": "i"})
        await image_mock.quiet()
        found = await image_mock.http.get("/img/result/i", headers={"Host": wire.url[7:]})
        url = found.json()["asset_url"]
        with pytest.raises(httpx.ReadError):
            await image_mock.http.get(url)
        await video_mock.post("/video/submit", {"image_url": url, "external_task_id": "v"})
        await video_mock.quiet()
    assert (await video_mock.row("v"))["outcome"] == "succeeded"


async def test_what_is_held_when_it_closes_still_gets_there(scene: Scene) -> None:
    async with vendor_wire(scene.target) as wire:
        held = wire.trouble(Route.SUBMIT, Deed.HOLD_REQUEST)
        sent = asyncio.create_task(scene.http.post(f"{wire.url}{SUBMIT}"))
        await held.struck()

    assert (await sent).status_code == 202
