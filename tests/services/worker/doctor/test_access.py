"""A ComfyUI that lets everybody in is warned of, and so is a key that everybody can read."""

from collections.abc import Mapping
from typing import cast

import pytest

from services.worker.doctor.access import access
from services.worker.vendors.vendor import ImageVendor
from tests.services.worker.doctor.made import PRIVATE, resolve, settings
from tests.services.worker.graphs.examples import WITHOUT_MODELS

COMFYUI = {"image_api": "comfyui", "comfyui_workflow": str(WITHOUT_MODELS)}
KLING = {"video_api": "kling", "kling_api_key": "k"}
OWN = {"video_api": "examples.fal.vendor:FalVideos"}


class Guarded:
    """Shows these headers."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._headers = headers

    def credentials(self) -> Mapping[str, str]:
        return self._headers


async def told(headers: Mapping[str, str], **given: str) -> list[str]:
    vendor = cast(ImageVendor, Guarded(headers))
    found = await access(settings(**given), vendor, resolve=resolve)
    assert {each.verdict for each in found} <= {"warning"}
    return [f"{each.check}: {each.says}" for each in found]


@pytest.mark.parametrize(
    ("url", "headers", "says"),
    [
        ("https://us.example", {}, "ComfyUI access: COMFYUI_URL is public, and lets us in without"),
        ("http://us.example:8188", {}, "ComfyUI access: COMFYUI_URL is public"),
        ("http://us.example", {"X-API-Key": "k"}, "ComfyUI access: COMFYUI_HEADERS is sent over"),
        ("https://us.example", {"X-API-Key": "k"}, None),
        (f"http://{PRIVATE}:8188", {}, None),
        ("http://nowhere.example", {}, None),
    ],
)
async def test_a_comfyui(url: str, headers: dict[str, str], says: str | None) -> None:
    found = await told(headers, image_service_url=url, **COMFYUI, **KLING)
    assert len(found) == (says is not None)
    assert all(each.startswith(str(says)) for each in found)


@pytest.mark.parametrize(("headers", "warned"), [({"X-API-Key": "k"}, 1), ({}, 0)])
async def test_a_video_service_that_fetches_from_a_guarded_comfyui(
    headers: dict[str, str], warned: int
) -> None:
    found = await told(headers, **COMFYUI)
    assert len(found) == warned
    assert all(each.startswith("ComfyUI images: the video service") for each in found)
    assert await told(headers, **COMFYUI, **KLING) == []


@pytest.mark.parametrize(
    ("url", "warned"),
    [("http://kling.example", 1), ("https://kling.example", 0), ("http://127.0.0.1:9", 0)],
)
@pytest.mark.parametrize("vendor", [KLING, OWN], ids=["kling", "of the user"])
async def test_a_video_vendors_key(url: str, warned: int, vendor: dict[str, str]) -> None:
    assert len(await told({}, video_service_url=url, **vendor)) == warned


async def test_services_of_the_small_contract_are_shown_none() -> None:
    here = {"image_service_url": "http://us.example", "video_service_url": "http://us.example"}
    assert await told({}, **here) == []
