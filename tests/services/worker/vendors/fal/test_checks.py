"""What fal is found to be before anything is submitted there."""

from typing import Any

import httpx
import pytest

from services.worker.vendors.chosen import chosen_videos
from services.worker.vendors.fal.checks import NOBODYS
from services.worker.vendors.fal.chosen import fal_videos
from services.worker.vendors.fal.videos import FalVideos
from services.worker.vendors.findings import Finding
from tests.services.mock_core.serving import Service
from tests.services.worker.graphs.examples import WITHOUT_MODELS
from tests.services.worker.vendors.fal.clients import settings_of
from tests.services.worker.vendors.stub import Answer, StubVendor, reply
from tests.workflow.wires import FAL, VIDEO_PATHS

LOOK = f"GET /fal-ai/kling-video/requests/{NOBODYS}/status"
Told = dict[str, tuple[str, str]]


def told(found: list[Finding]) -> Told:
    return {each.check: (each.verdict.value, each.says) for each in found}


async def examined(answer: Answer, **changes: Any) -> Told:
    vendor = StubVendor({LOOK: [answer]})
    async with vendor.client() as http:
        found = await fal_videos(http, settings_of(**changes)).examined()
    assert vendor.asked == [LOOK]
    return told(found)


async def test_a_key_that_is_taken() -> None:
    found = await examined(reply(404, detail="not found"))
    assert found == {"fal key": ("ok", "http://vendor takes it, and does not tell what is left")}


@pytest.mark.parametrize(
    ("answer", "verdict", "says"),
    [
        (reply(401, detail="Authentication is required"), "wrong", "look at FAL_KEY"),
        (reply(403, detail="User is locked"), "wrong", "User is locked; look at the account's"),
        (httpx.Response(404, content=b"<html>"), "wrong", "KLING_URL names another host"),
        (httpx.ConnectError("refused"), "wrong", "nobody answers at http://vendor (KLING_URL)"),
        (reply(503, detail="out"), "warning", "does not tell for now"),
        (httpx.ReadTimeout("slow"), "warning", "does not tell for now"),
    ],
)
async def test_what_is_wrong_with_it(answer: Answer, verdict: str, says: str) -> None:
    found = (await examined(answer))["fal key"]
    assert found[0] == verdict
    assert says in found[1]


async def test_polling_alone_is_said() -> None:
    found = await examined(reply(404, detail="no"), callback_url="http://127.0.0.1:8001")
    assert found["fal callbacks"] == (
        "warning",
        "polling alone: CALLBACK_URL=http://127.0.0.1:8001 is no public https address, so fal is"
        " told none",
    )


async def test_a_size_that_is_not_taken_is_said() -> None:
    size = {"comfyui_width": 512, "comfyui_height": 299, "comfyui_workflow": WITHOUT_MODELS}
    found = await examined(reply(404, detail="no"), image_api="comfyui", **size)
    says = "COMFYUI_WIDTH=512 and COMFYUI_HEIGHT=299: fal takes sides of 300 or more"
    assert found["fal size"] == ("wrong", says)


@pytest.mark.parametrize(("key", "verdict"), [(FAL["fal_key"], "ok"), ("another", "wrong")])
async def test_the_mock_says_the_same(video_mock: Service, key: str, verdict: str) -> None:
    url = str(video_mock.http.base_url).rstrip("/") + VIDEO_PATHS["fal"]
    async with chosen_videos(settings_of(video_service_url=url, fal_key=key)) as videos:
        assert isinstance(videos, FalVideos)
        found = told(await videos.examined())
    assert found["fal key"][0] == verdict
    assert await video_mock.json("/admin/ledger") == []
