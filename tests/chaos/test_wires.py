"""A wire to a vendor: what it holds, cuts and loses, what it lets pass, and for how long."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import httpx
import pytest
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from tests.chaos.wires import (
    IMAGE_WIRE,
    VIDEO_WIRE,
    Deed,
    Request,
    Route,
    VendorWires,
    vendor_wires,
)
from tests.services.mock_core.serving import served

SUBMIT, STATUS = "/video/submit", "/video/status/1"


@dataclass
class Vendor:
    """Remembers what it was asked."""

    asked: list[str] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked.append(scope["path"])
        await Response(status_code=202)(scope, receive, send)


@dataclass
class Scene:
    """Two vendors, the wires to them, and a client at the end of the video's."""

    vendor: Vendor
    wires: VendorWires
    http: httpx.AsyncClient

    def submit(self, body: str = "{}") -> asyncio.Task[httpx.Response]:
        return asyncio.create_task(self.http.post(SUBMIT, content=body))

    async def submit_image(self, name: str, prompt: str = "a cat") -> httpx.Response:
        body = {"client_id": name, "prompt": prompt}
        return await self.http.post(f"{self.wires.images.url}/img/submit", json=body)


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    vendor = Vendor()
    async with (
        served(Vendor()) as to_images,
        served(vendor) as to_videos,
        vendor_wires(to_images, to_videos) as wires,
        httpx.AsyncClient(base_url=wires.videos.url, timeout=60, trust_env=False) as http,
    ):
        yield Scene(vendor, wires, http)


@pytest.mark.parametrize(
    ("deed", "error", "arrives"),
    [
        (Deed.CUT_REQUEST, httpx.ReadError, False),
        (Deed.CUT_REPLY, httpx.ReadError, True),
        (Deed.LOSE_REPLY, httpx.ReadTimeout, True),
    ],
)
async def test_cut_and_lost_messages(
    scene: Scene, deed: Deed, error: type[Exception], *, arrives: bool
) -> None:
    scene.wires.videos.trouble(Route.SUBMIT, deed)
    with pytest.raises(error):
        await scene.http.post(SUBMIT, timeout=0.2 if deed is Deed.LOSE_REPLY else 60)
    assert bool(scene.vendor.asked) is arrives


async def test_strikes_only_matching_messages_as_often_as_configured(scene: Scene) -> None:
    def of_job_1(request: Request) -> bool:
        return "job-1" in (request.external_id or "")

    scene.wires.videos.trouble(Route.STATUS, Deed.CUT_REQUEST).release()
    scene.wires.videos.trouble(Route.SUBMIT, Deed.CUT_REQUEST, times=2, fits=of_job_1)
    body = '{"external_task_id": "job-1.video.1"}'
    assert (await scene.submit(body.replace("1", "2"))).status_code == 202
    for _ in range(2):
        with pytest.raises(httpx.ReadError):
            await scene.submit(body)

    assert (await scene.submit(body)).status_code == 202
    assert (await scene.http.get(STATUS)).status_code == 202


async def test_held_submit_reports_its_job(scene: Scene) -> None:
    hold = scene.wires.hold(IMAGE_WIRE, 0.3, patience=10, prompt="time is up")
    holding = asyncio.create_task(hold)
    await asyncio.sleep(0)
    await scene.submit_image("job-1.image.1")
    assert not holding.done()
    sent = asyncio.create_task(scene.submit_image("job-2.image.1", "time is up 3"))
    assert await holding == "job-2"
    assert (await scene.submit()).status_code == 202
    assert not sent.done()

    assert (await sent).status_code == 202
    assert await scene.wires.hold(VIDEO_WIRE, 60, patience=0.05) is None


async def test_disturbance_affects_one_wire_and_ends(scene: Scene) -> None:
    cut = scene.wires.disturb(VIDEO_WIRE, Route.SUBMIT, Deed.CUT_REQUEST, 0.3, patience=10)
    disturbing = asyncio.create_task(cut)
    await asyncio.sleep(0)
    assert (await scene.submit_image("job-1.image.1")).status_code == 202
    for _ in range(2):
        with pytest.raises(httpx.ReadError):
            await scene.submit()
    assert (await disturbing).met == 2
    assert scene.wires.count == 3

    assert (await scene.submit()).status_code == 202
    nobody = scene.wires.disturb(VIDEO_WIRE, Route.SUBMIT, Deed.CUT_REQUEST, 60, patience=0.05)
    assert ((await nobody).met, (await scene.submit()).status_code) == (0, 202)


async def test_lost_reply_ends_when_the_sender_gives_up(scene: Scene) -> None:
    lose = scene.wires.disturb(VIDEO_WIRE, Route.SUBMIT, Deed.LOSE_REPLY, 0, patience=10)
    disturbing = asyncio.create_task(lose)
    await asyncio.sleep(0)
    sender = scene.submit()
    while scene.wires.count == 0:  # noqa: ASYNC110 - the wire tells nobody
        await asyncio.sleep(0.01)
    done, _ = await asyncio.wait([disturbing], timeout=0.5)
    assert not done
    sender.cancel()

    assert (await disturbing).met == 1
