"""Strikes that need more than one deed, on mocks over their wires."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from loadtest.wire.http import Http
from loadtest.wire.vendor import Vendor
from tests.chaos.evidence import Done
from tests.chaos.schedule import HOLDER, VIDEO_WIRE, Hit, Kind, Stage, Strike
from tests.chaos.striker import Striker, Surface
from tests.chaos.vendor_wire import Route
from tests.chaos.vendors import VendorWires, vendor_wires
from tests.services.mock_core.serving import Service

JOB_SECONDS, HELD_SECONDS = 1.0, 0.8


@dataclass
class Crowd:
    """Carries one job through its image to its video's submit, as a worker would."""

    wires: VendorWires
    images: Service
    videos: Service
    job: asyncio.Task[None] | None = None
    seconds: dict[str, float] = field(default_factory=dict)

    async def submit(self, *, prompt: str, priority: int) -> str:
        self.job = asyncio.create_task(self._work(prompt))
        return f"job-{priority}"

    async def _work(self, prompt: str) -> None:
        now = asyncio.get_running_loop().time
        began, url = now(), self.wires.images.url
        body = {"client_id": "job-1.image.1", "prompt": prompt}
        await self.images.http.post(f"{url}/img/submit", json=body)
        await self.images.quiet()
        self.seconds["image"] = now() - began
        body = {"external_task_id": "job-1.video.1", "prompt": prompt, "image_url": "http://x/y"}
        await self.videos.http.post(f"{self.wires.videos.url}/video/submit", json=body)
        self.seconds["video submit"] = now() - began


@pytest.fixture
async def crowd(image_mock: Service, video_mock: Service) -> AsyncIterator[Crowd]:
    addresses = [str(each.http.base_url).rstrip("/") for each in (image_mock, video_mock)]
    async with vendor_wires(*addresses) as wires:
        yield Crowd(wires, image_mock, video_mock)


@pytest.fixture
async def striker(crowd: Crowd) -> AsyncIterator[Striker]:
    """One that reaches the mocks and the wires, and nothing else."""
    https = [Http(str(each.http.base_url)) for each in (crowd.images, crowd.videos)]
    images, videos = (Vendor(http, "a mock") for http in https)
    nothing = cast(Any, None)
    yield Striker(
        Surface(
            client=nothing,
            ground=nothing,
            places=nothing,
            crowd=cast(Any, crowd),
            images=images,
            videos=videos,
            job_seconds=JOB_SECONDS,
            vendors=crowd.wires,
        ),
        say=lambda _: None,
    )
    for http in https:
        await http.close()


async def test_a_jobs_time_runs_out_while_its_submit_is_held(
    crowd: Crowd, striker: Striker
) -> None:
    hit = Hit(Kind.TIME_OUT, HOLDER, Stage.VIDEO_HELD)
    await striker.carry_out([Strike(1, 0.0, hit, HELD_SECONDS)])
    assert crowd.job is not None
    await crowd.job

    assert striker.disturbed == {"job-1": frozenset({Done.TIME_OUT})}
    assert crowd.seconds["image"] < JOB_SECONDS < crowd.seconds["video submit"]


async def test_a_strike_tells_how_many_it_met_and_when(crowd: Crowd, striker: Striker) -> None:
    hit = Hit(Kind.HOLD_REPLY, VIDEO_WIRE, route=Route.STATUS)
    striking = asyncio.create_task(striker.carry_out([Strike(1, 0.0, hit, 0.3)]))
    while not striker.struck:  # noqa: ASYNC110 - the log has no events
        await asyncio.sleep(0.01)
    armed = striker.struck[0]["epoch"]
    await asyncio.sleep(0.5)
    sent = time.time()
    await crowd.videos.http.get(f"{crowd.wires.videos.url}/video/status/nobody")
    answered = time.time()
    await striking

    [row] = striker.struck
    assert row["met"] == 1
    assert armed < sent <= row["epoch"] <= row["epoch"] + 0.3 <= row["epoch"] + row["seconds"]
    assert row["epoch"] < answered
