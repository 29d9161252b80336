"""A strike on a vendor's wire: whom it meets, and for how long."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import pytest

from tests.chaos.schedule import IMAGE_WIRE, VIDEO_WIRE, Hit, Kind, Stage
from tests.chaos.test_vendor_wire import Vendor
from tests.chaos.vendor_wire import Route
from tests.chaos.vendors import VendorWires, vendor_wires
from tests.services.mock_core.serving import served


@dataclass
class Scene:
    """Two vendors, the wires to them, and a client."""

    image_vendor: Vendor
    wires: VendorWires
    http: httpx.AsyncClient

    async def submit_image(self, name: str, prompt: str = "a cat") -> httpx.Response:
        body = {"client_id": name, "prompt": prompt}
        return await self.http.post(f"{self.wires.images.url}/img/submit", json=body)

    async def submit_video(self) -> httpx.Response:
        return await self.http.post(f"{self.wires.videos.url}/video/submit", json={})


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    images, videos = Vendor(), Vendor()
    async with (
        served(images) as to_images,
        served(videos) as to_videos,
        vendor_wires(to_images, to_videos) as wires,
        httpx.AsyncClient(timeout=60, trust_env=False) as http,
    ):
        yield Scene(images, wires, http)


async def test_a_submit_is_held_and_its_job_told(scene: Scene) -> None:
    holding = asyncio.create_task(scene.wires.hold(Stage.IMAGE_HELD, 0.3, patience=10))
    await asyncio.sleep(0)
    sent = asyncio.create_task(scene.submit_image("job-1.image.1"))
    assert await holding == "job-1"
    assert (await scene.submit_video()).status_code == 202
    assert (await scene.submit_image("job-2.image.1")).status_code == 202
    assert not sent.done()

    assert (await sent).status_code == 202
    assert len(scene.image_vendor.asked) == 2


async def test_only_the_prompts_own_submit_is_held(scene: Scene) -> None:
    hold = scene.wires.hold(Stage.IMAGE_HELD, 0, patience=10, prompt="time is up")
    holding = asyncio.create_task(hold)
    await asyncio.sleep(0)
    await scene.submit_image("job-1.image.1")
    assert not holding.done()
    await scene.submit_image("job-2.image.1", "time is up 3, held")

    assert await holding == "job-2"


async def test_where_nobody_submits_nothing_is_held(scene: Scene) -> None:
    assert await scene.wires.hold(Stage.VIDEO_HELD, 60, patience=0.05) is None

    assert (await scene.submit_video()).status_code == 202


async def test_a_disturbance_is_on_its_wire_alone_and_passes(scene: Scene) -> None:
    hit = Hit(Kind.CUT_REQUEST, VIDEO_WIRE, route=Route.SUBMIT)
    disturbing = asyncio.create_task(scene.wires.disturb(hit, 0.3, patience=10))
    await asyncio.sleep(0)
    assert (await scene.submit_image("job-1.image.1")).status_code == 202
    for _ in range(2):
        with pytest.raises(httpx.ReadError):
            await scene.submit_video()
    assert (await disturbing).met == 2
    assert scene.wires.count == 3

    assert (await scene.submit_video()).status_code == 202


async def test_a_disturbance_that_meets_nobody_is_given_up(scene: Scene) -> None:
    hit = Hit(Kind.CUT_REQUEST, VIDEO_WIRE, route=Route.SUBMIT)
    done = await scene.wires.disturb(hit, 60, patience=0.05)
    assert (done.met, done.since) == (0, None)

    assert (await scene.submit_video()).status_code == 202


async def test_it_is_over_when_whoever_lost_a_reply_has_given_up(scene: Scene) -> None:
    hit = Hit(Kind.LOSE_REPLY, VIDEO_WIRE, route=Route.SUBMIT)
    disturbing = asyncio.create_task(scene.wires.disturb(hit, 0, patience=10))
    await asyncio.sleep(0)
    sender = asyncio.create_task(scene.submit_video())
    while scene.wires.count == 0:  # noqa: ASYNC110 - the wire tells nobody
        await asyncio.sleep(0.01)
    done, _ = await asyncio.wait([disturbing], timeout=0.5)
    assert not done
    sender.cancel()

    assert (await disturbing).met == 1


@pytest.mark.parametrize("target", [IMAGE_WIRE, VIDEO_WIRE])
async def test_each_wire_has_its_name(scene: Scene, target: str) -> None:
    hit = Hit(Kind.CUT_REQUEST, target, route=Route.SUBMIT)
    disturbing = asyncio.create_task(scene.wires.disturb(hit, 60, patience=10))
    await asyncio.sleep(0)
    submit = scene.submit_image("x") if target == IMAGE_WIRE else scene.submit_video()
    with pytest.raises(httpx.ReadError):
        await submit
    disturbing.cancel()
    await asyncio.gather(disturbing, return_exceptions=True)
