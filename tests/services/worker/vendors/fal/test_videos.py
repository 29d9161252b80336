"""fal's queue against a stub: what is asked, and what each answer means."""

import base64
from typing import Any

import httpx
import pytest

from services.worker.vendors.answers import SLOWEST
from services.worker.vendors.fal.chosen import fal_videos
from services.worker.vendors.fal.videos import RESULT_HOSTS
from services.worker.vendors.vendor import Fitted, Traits, VendorStatus
from shared.errors import (
    NeverDelivered,
    OutcomeUnknown,
    RefusedForGood,
    RefusedForNow,
    VendorError,
)
from tests.services.worker.vendors.fal.clients import (
    AT,
    CALLBACK,
    CANCEL,
    ID,
    KEPT,
    RESPONSE,
    STATUS,
    SUBMIT,
    cancel,
    queued,
    settings_of,
    status,
    submit,
)
from tests.services.worker.vendors.stub import CUT, Answer, StubVendor, picture_at, reply

PNG, JPEG = b"\x89PNG\r\n\x1a\n and more", b"\xff\xd8\xff and more"


def completed(**changes: Any) -> Answer:
    return reply(200, **({"status": "COMPLETED", "request_id": ID, "response_url": AT} | changes))


async def test_a_video_is_submitted_as_documented() -> None:
    vendor = StubVendor({SUBMIT: [queued()]})
    assert await submit(vendor, picture_at("x", fitted=Fitted(PNG, is_new=False))) == KEPT
    assert vendor.asked == [SUBMIT]
    image = base64.b64encode(PNG).decode()
    assert vendor.body() == {"prompt": "猫", "image_url": f"data:image/png;base64,{image}"}
    asked = vendor.requests[-1]
    assert asked.headers["authorization"] == "Key the-key"
    assert dict(asked.url.params) == {"fal_webhook": CALLBACK}


async def test_an_answer_is_waited_for_as_long_as_a_large_picture_takes() -> None:
    vendor = StubVendor({SUBMIT: [queued()]})
    await submit(vendor, picture_at("x", fitted=Fitted(PNG + bytes(3_000_000), is_new=False)))
    patience = vendor.requests[-1].extensions["timeout"]
    assert patience["read"] == patience["write"] > 30 + 4_000_000 / SLOWEST
    assert patience["connect"] < 10


async def test_the_settings_say_what_is_made() -> None:
    vendor = StubVendor({"POST /a/b/c": [queued()]})
    picture = picture_at("x", fitted=Fitted(JPEG, is_new=True))
    further = '{"duration": "10", "cfg_scale": 0.7}'
    changes = {"fal_model": "a/b/c", "fal_image_input": "start_image_url", "fal_input": further}
    await submit(vendor, picture, **changes)
    image = base64.b64encode(JPEG).decode()
    assert vendor.body() == {
        "prompt": "猫",
        "start_image_url": f"data:image/jpeg;base64,{image}",
        "duration": "10",
        "cfg_scale": 0.7,
    }


async def test_an_image_that_will_not_do_is_found_out_before_anything_is_paid() -> None:
    vendor = StubVendor({})
    with pytest.raises(RefusedForGood, match="too small"):
        await submit(vendor, picture_at("x", fitted=RefusedForGood("too small")))
    assert vendor.asked == []


@pytest.mark.parametrize(
    ("callback", "queue", "told"),
    [
        ("https://us.example", "https://queue.fal.run", True),
        ("http://us.example", "https://queue.fal.run", False),
        ("https://127.0.0.1:8001", "https://queue.fal.run", False),
        ("http://callback:8001", "http://mock-kling:16882/fal", True),
    ],
)
async def test_an_address_that_leads_to_nobody_is_never_told(
    callback: str, queue: str, told: bool
) -> None:
    vendor = StubVendor({SUBMIT: [queued()]})
    await submit(vendor, callback_url=callback, video_service_url=queue)
    assert ("fal_webhook" in vendor.requests[-1].url.params) is told


async def test_traits() -> None:
    async with StubVendor({}).client() as http:
        videos = fal_videos(http, settings_of())
    assert videos.traits == Traits(looked_up=False, pushes=True, result_hosts=RESULT_HOSTS)
    model = "fal-ai/kling-video/v2.1/standard/image-to-video"
    assert videos.offer() == f"fal at http://vendor: {model}; what that costs is not known here"


@pytest.mark.parametrize(
    ("answer", "kind", "says"),
    [
        (reply(401, detail="Authentication is required"), RefusedForGood, "look at FAL_KEY"),
        (reply(403, detail="User is locked"), RefusedForGood, "User is locked; .*balance"),
        (reply(404, detail="Application not found"), RefusedForGood, "look at FAL_MODEL"),
        (reply(422, detail=[{"msg": "m"}]), RefusedForGood, "422"),
        (reply(429, detail="slower"), RefusedForNow, "slower"),
        (reply(503, detail="out"), RefusedForNow, "out"),
        (reply(500, detail="oh"), OutcomeUnknown, "oh"),
        (reply(504, detail="late"), OutcomeUnknown, "late"),
        (httpx.Response(502, content=b"<html>"), OutcomeUnknown, "502"),
        (httpx.Response(200, content=b"not json"), OutcomeUnknown, "no.* JSON"),
        (httpx.Response(200, content=b"\n<!doctype html>"), RefusedForGood, "KLING_URL"),
        (httpx.Response(404, content=b"<html>"), RefusedForGood, "KLING_URL"),
        (httpx.Response(302), RefusedForGood, "KLING_URL"),
        (httpx.ReadTimeout("slow"), OutcomeUnknown, "slow"),
        (httpx.ConnectError("refused"), NeverDelivered, "refused"),
        (httpx.LocalProtocolError("Illegal header"), NeverDelivered, "Illegal header"),
    ],
)
async def test_a_submit_that_is_not_taken(
    answer: Answer, kind: type[VendorError], says: str
) -> None:
    vendor = StubVendor({SUBMIT: [answer]})
    with pytest.raises(kind, match=says):
        await submit(vendor)
    assert vendor.asked == [SUBMIT]


@pytest.mark.parametrize(
    ("answer", "found"),
    [
        (reply(202, status="IN_QUEUE", queue_position=3), {"state": "queued", "position": 3}),
        (reply(202, status="IN_QUEUE"), {"state": "queued"}),
        (reply(202, status="IN_PROGRESS", logs=None), {"state": "running"}),
        (reply(202, status="A WORD OF TOMORROW"), {"state": "running"}),
    ],
)
async def test_what_is_open(answer: Answer, found: dict[str, Any]) -> None:
    vendor = StubVendor({STATUS: [answer]})
    assert await status(vendor) == VendorStatus.model_validate({"vendor_id": KEPT, **found})
    assert vendor.asked == [STATUS]


@pytest.mark.parametrize(
    ("body", "url"),
    [
        ({"video": {"url": "https://v3.fal.media/1.mp4"}}, "https://v3.fal.media/1.mp4"),
        ({"videos": [{"url": "https://v3.fal.media/2.mp4"}]}, "https://v3.fal.media/2.mp4"),
    ],
)
async def test_a_success_says_where_the_video_is(body: dict[str, Any], url: str) -> None:
    vendor = StubVendor({STATUS: [completed()], RESPONSE: [reply(200, **body)]})
    assert await status(vendor) == VendorStatus(vendor_id=KEPT, state="succeeded", url=url)
    assert vendor.requests[-1].headers["authorization"] == "Key the-key"


@pytest.mark.parametrize(
    "body", [{"video": {"url": ""}}, {"video": {"url": 7}}, {"videos": []}, {"image": "x"}, {}]
)
async def test_an_answer_without_a_video_is_paid_for_once(body: dict[str, Any]) -> None:
    found = await status(StubVendor({STATUS: [completed()], RESPONSE: [reply(200, **body)]}))
    why = "the answer has no video: look at FAL_MODEL"
    assert found == VendorStatus(vendor_id=KEPT, state="failed", message=why, final=True)


async def test_an_address_with_half_a_character_is_none() -> None:
    video = {"url": f"https://v3.fal.media/{CUT}.mp4"}
    found = await status(StubVendor({STATUS: [completed()], RESPONSE: [reply(200, video=video)]}))
    assert found == VendorStatus(vendor_id=KEPT, state="succeeded", url=None)


@pytest.mark.parametrize(
    ("response_url", "asked"),
    [(f"{AT}/response", f"{RESPONSE}/response"), ("https://elsewhere/x", RESPONSE), (1, RESPONSE)],
)
async def test_a_response_is_asked_for_where_the_queue_says_and_nowhere_else(
    response_url: object, asked: str
) -> None:
    vendor = StubVendor({STATUS: [completed(response_url=response_url)], asked: [reply(200)]})
    await status(vendor)
    assert vendor.asked == [STATUS, asked]
    assert {each.url.host for each in vendor.requests} == {"vendor"}


def mistake(*where: str, msg: str = "no") -> dict[str, Any]:
    return {"loc": ["body", *where], "msg": msg, "type": "any"}


@pytest.mark.parametrize(
    ("told", "answer", "reason", "final"),
    [
        ({}, reply(422, detail=[mistake("prompt", msg="flagged")]), "prompt: flagged", True),
        ({}, reply(422, detail=[mistake("a", "b"), mistake("c")]), "a.b: no; c: no", True),
        ({}, reply(422, detail=[mistake("a"), mistake(msg="oh")]), "a: no; oh", False),
        ({}, reply(422, detail=[mistake(msg="it broke")]), "it broke", False),
        ({}, reply(500, detail=[mistake("prompt", msg="broke")]), "prompt: broke", False),
        ({}, reply(422, detail=["odd", {"loc": 7}]), "odd; {'loc': 7}", False),
        ({}, reply(503, detail="gone", error_type="runner_disconnected"), "gone", False),
        ({"error": "cancelled"}, reply(400, detail="Request was cancelled"), "Request was", False),
        ({"error": "why"}, httpx.Response(500, content=b""), "why", False),
        ({"error": "why"}, reply(200), "why", False),
        ({"error": "why"}, httpx.ReadTimeout("slow"), "why", False),
    ],
)
async def test_a_completed_request_may_have_failed(
    told: dict[str, Any], answer: Answer, reason: str, final: bool
) -> None:
    found = await status(StubVendor({STATUS: [completed(**told)], RESPONSE: [answer]}))
    assert found is not None
    assert (found.state, found.final, found.url) == ("failed", final, None)
    assert found.message.startswith(reason)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (reply(400, detail="Request is still in progress"), RefusedForGood),
        (reply(500, detail="out of order"), OutcomeUnknown),
        (reply(503, detail="out"), RefusedForNow),
        (httpx.Response(502, content=b"<html>"), OutcomeUnknown),
        (httpx.ReadTimeout("slow"), OutcomeUnknown),
    ],
)
async def test_an_answer_that_tells_no_end_is_none(answer: Answer, kind: type[VendorError]) -> None:
    with pytest.raises(kind):
        await status(StubVendor({STATUS: [completed()], RESPONSE: [answer]}))


async def test_what_the_queue_does_not_know_is_none() -> None:
    assert await status(StubVendor({STATUS: [reply(404, detail="not found")]})) is None


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (httpx.Response(404, content=b"<html>"), RefusedForGood),
        (reply(401, detail="no"), RefusedForGood),
        (reply(500, detail="not found"), OutcomeUnknown),
        (httpx.Response(200, json=[]), OutcomeUnknown),
        (reply(202, status="IN_QUEUE", queue_position=-1), OutcomeUnknown),
    ],
)
async def test_no_other_answer_says_that_a_request_is_not_there(
    answer: Answer, kind: type[VendorError]
) -> None:
    with pytest.raises(kind):
        await status(StubVendor({STATUS: [answer]}))


@pytest.mark.parametrize(
    "answer",
    [
        reply(202, status="CANCELLATION_REQUESTED"),
        reply(400, status="ALREADY_COMPLETED"),
        reply(404, status="NOT_FOUND"),
    ],
)
async def test_a_cancel_that_there_is_nothing_more_to_say_to(answer: Answer) -> None:
    vendor = StubVendor({CANCEL: [answer]})
    await cancel(vendor)
    assert vendor.requests[-1].headers["authorization"] == "Key the-key"


async def test_a_cancel_that_is_refused() -> None:
    with pytest.raises(RefusedForNow):
        await cancel(StubVendor({CANCEL: [reply(503, detail="out")]}))


async def test_no_key_is_in_what_is_said_of_a_failure() -> None:
    vendor = StubVendor({SUBMIT: [reply(401, detail="invalid key: the-key")]})
    with pytest.raises(RefusedForGood) as refused:
        await submit(vendor)
    assert "the-key" not in refused.value.message
