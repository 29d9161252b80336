"""The example of a vendor named by import path: what it asks fal for, and what answers mean."""

import base64
import json
from typing import Any

import httpx
import pytest

from examples.fal.vendor import FalVideos
from services.worker.settings.worker import WorkerSettings
from services.worker.vendors.chosen import chosen_videos
from shared.errors import OutcomeUnknown, RefusedForGood, RefusedForNow
from shared.pipeline.findings import Verdict
from shared.pipeline.vendor import VendorStatus
from tests.services.worker.vendors.stub import (
    Answer,
    StubVendor,
    picture_at,
    reply,
    submit_usual,
    usual_settings,
)

APP, ID = "fal-ai/kling-video", "764cabcf-b745-4b3e-ae38-1200304cf45b"
KEPT = f"{APP}/requests/{ID}"
SUBMIT = f"POST /{APP}/v2.1/standard/image-to-video"
STATUS, RESPONSE, CANCEL = f"GET /{KEPT}/status", f"GET /{KEPT}", f"PUT /{KEPT}/cancel"
PNG = b"\x89PNG\r\n\x1a\n and more"
COMPLETED = reply(status="COMPLETED", request_id=ID)


def settings_of(path: str = "examples.fal.vendor:FalVideos", **options: Any) -> WorkerSettings:
    given = {"key": "the-key", **options}
    return usual_settings(video_api=path, video_api_options=json.dumps(given))


async def submit(vendor: StubVendor, **options: Any) -> str:
    http = vendor.client()
    picture = picture_at("x", fitted=PNG)
    videos = FalVideos(http, settings_of(**options))
    return await submit_usual(videos, picture, callback_url="https://us.example")


async def status(vendor: StubVendor) -> VendorStatus | None:
    return await FalVideos(vendor.client(), settings_of()).status(KEPT)


async def test_setting_names_the_class_and_hides_the_key() -> None:
    settings = settings_of()
    assert "the-key" not in repr(settings)
    async with chosen_videos(settings) as videos:
        assert isinstance(videos, FalVideos)
        assert not videos.traits.looked_up


def test_unknown_class_is_refused() -> None:
    for path, why in (
        ("examples.fal.vendor:Nobody", "can't be imported"),
        ("examples.nowhere:FalVideos", "can't be imported"),
        ("fal", "must be service, kling or package"),
    ):
        with pytest.raises(ValueError, match=why):
            settings_of(path)


async def test_video_is_submitted_as_documented() -> None:
    vendor = StubVendor({SUBMIT: [reply(request_id=ID, status="IN_QUEUE")]})
    assert await submit(vendor, inputs={"duration": "10"}) == KEPT
    image = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
    assert vendor.body() == {"duration": "10", "prompt": "猫", "image_url": image}
    assert vendor.requests[-1].headers["authorization"] == "Key the-key"
    assert not vendor.requests[-1].url.query


async def test_failed_submits() -> None:
    for answer, kind, says in (
        (reply(401, detail="no"), RefusedForGood, "look at the key"),
        (reply(404, detail="no"), RefusedForGood, "look at the model"),
        (reply(429, detail="slower"), RefusedForNow, "slower"),
        (reply(500, detail="oh"), OutcomeUnknown, "oh"),
        (reply(status="IN_QUEUE"), OutcomeUnknown, "without its request_id"),
        (httpx.Response(200, text="<html>"), RefusedForGood, "KLING_URL names another host"),
    ):
        with pytest.raises(kind, match=says):
            await submit(StubVendor({SUBMIT: [answer]}))


async def test_states_of_a_request() -> None:
    for answers, expected in (
        ([reply(202, status="IN_QUEUE", queue_position=3)], ("queued", None, 3, False)),
        ([reply(202, status="IN_PROGRESS")], ("running", None, None, False)),
        (
            [COMPLETED, reply(video={"url": "https://v/1"})],
            ("succeeded", "https://v/1", None, False),
        ),
        ([COMPLETED, reply(images=[])], ("failed", None, None, True)),
        (
            [COMPLETED, reply(422, detail=[{"loc": ["body", "duration"], "msg": "too long"}])],
            ("failed", None, None, True),
        ),
        (
            [COMPLETED, reply(422, detail=[{"loc": ["body"], "msg": "it broke"}])],
            ("failed", None, None, False),
        ),
    ):
        found = await status(StubVendor({STATUS: answers[:1], RESPONSE: answers[1:]}))
        assert found is not None
        assert (found.state, found.url, found.position, found.final) == expected


async def test_reason_names_the_input() -> None:
    wrong = reply(422, detail=[{"loc": ["body", "duration"], "msg": "too long"}])
    found = await status(StubVendor({STATUS: [COMPLETED], RESPONSE: [wrong]}))
    assert found is not None
    assert found.message == "duration: too long"


async def test_unknown_request_is_none_and_another_one_is_ignored() -> None:
    assert await status(StubVendor({STATUS: [reply(404, detail="not found")]})) is None
    with pytest.raises(OutcomeUnknown, match="another generation"):
        await status(StubVendor({STATUS: [reply(status="IN_QUEUE", request_id="r-2")]}))


@pytest.mark.parametrize("answer", [reply(202), reply(400, status="ALREADY_COMPLETED"), reply(404)])
async def test_cancel_of_an_ended_request_succeeds(answer: Answer) -> None:
    vendor = StubVendor({CANCEL: [answer]})
    await FalVideos(vendor.client(), settings_of()).cancel(KEPT)
    assert vendor.asked == [CANCEL]


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [(reply(404, detail="not found"), Verdict.OK), (reply(401, detail="no"), Verdict.WRONG)],
)
async def test_doctor_checks_the_key(answer: Answer, verdict: Verdict) -> None:
    route = f"GET /{APP}/requests/00000000-0000-0000-0000-000000000000/status"
    [finding] = await FalVideos(StubVendor({route: [answer]}).client(), settings_of()).examined()
    assert finding.verdict is verdict
