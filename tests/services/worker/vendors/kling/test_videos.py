"""Kling's own API against a stub: what is submitted, and what each answer means."""

import base64
from typing import Any

import httpx
import pytest

from services.worker.vendors.kling.videos import KlingVideos
from shared.errors import OutcomeUnknown, RefusedForGood, RefusedForNow, StorageFailed, VendorError
from shared.pipeline.answers import SLOWEST
from shared.pipeline.vendor import VendorStatus
from tests.fixtures.present import present
from tests.services.worker.vendors.kling.clients import (
    CALLBACK,
    LOOK,
    OTHER,
    PATH,
    SUBMIT,
    refused,
    settings_of,
    status,
    submit,
    succeeded,
)
from tests.services.worker.vendors.stub import CUT, OURS, Answer, StubVendor, picture_at, reply


async def test_video_is_submitted_as_documented() -> None:
    vendor = StubVendor({SUBMIT: [succeeded()]})
    assert await submit(vendor) == "831"
    assert vendor.asked == [SUBMIT]
    assert vendor.body() == {
        "model_name": "kling-v2-6",
        "mode": "std",
        "duration": "5",
        "image": base64.b64encode(b"our picture").decode(),
        "prompt": "猫",
        "callback_url": CALLBACK,
        "external_task_id": OURS,
    }
    assert vendor.requests[-1].headers["authorization"] == "Bearer the-key"


async def test_settings_decide_what_is_made() -> None:
    vendor = StubVendor({SUBMIT: [succeeded()]})
    await submit(
        vendor,
        kling_model="kling-v3",
        kling_mode="4k",
        kling_duration=15,
        kling_sound="on",
        kling_extra='{"cfg_scale": 0.7}',
    )
    body = vendor.body()
    assert (body["model_name"], body["mode"], body["duration"]) == ("kling-v3", "4k", "15")
    assert (body["sound"], body["cfg_scale"]) == ("on", 0.7)


async def test_unsuitable_image_is_found_before_anything_is_paid() -> None:
    for error in (RefusedForGood("too small"), StorageFailed("our disk")):
        vendor = StubVendor({})
        with pytest.raises(type(error), match=error.message):
            await submit(vendor, picture_at("x", fitted=error))
        assert vendor.asked == []


async def test_unreachable_callback_address_is_not_sent() -> None:
    for callback, vendor, told in (
        ("https://us.example", "https://api-singapore.klingai.com", True),
        ("http://us.example", "https://api-singapore.klingai.com", False),
        ("http://127.0.0.1:8001", "https://api-singapore.klingai.com", False),
        ("https://192.168.1.5", "https://api-singapore.klingai.com", False),
        ("https://callback:8001", "https://api-singapore.klingai.com", False),
        ("https://desk.local", "https://api-singapore.klingai.com", False),
        ("http://callback:8001", "http://mock-kling:16882", True),
        ("http://127.0.0.1:8001", "http://10.0.0.5:16882", False),
        ("http://127.0.0.1:8001", "http://127.0.0.1:16882", True),
    ):
        stub = StubVendor({SUBMIT: [succeeded()]})
        await submit(stub, callback_url=callback, video_service_url=vendor)
        assert ("callback_url" in stub.body()) is told


async def test_vendor_without_our_ids_is_not_asked_by_them() -> None:
    """Nor behind a refusal that may mean that the id is there already: that is in doubt."""
    settings = settings_of(kling_look_up="off")
    assert not KlingVideos(StubVendor({}).client(), settings).traits.looked_up
    taken = reply(400, code=1201, message="external_task_id already exists", request_id="r-1")
    for answer, kind in ((taken, OutcomeUnknown), (refused(1201, 400), RefusedForGood)):
        vendor = StubVendor({SUBMIT: [answer]})
        with pytest.raises(kind):
            await submit(vendor, kling_look_up="off")
        assert vendor.asked == [SUBMIT]


@pytest.mark.parametrize(
    "answer",
    [
        reply(200, code=9999, message="?"),
        reply(200, code=0, data={"task_id": 7}),
        httpx.Response(200, content=b"not json"),
    ],
)
async def test_submit_with_an_unknown_answer_may_have_arrived(answer: Answer) -> None:
    vendor = StubVendor({SUBMIT: [answer]})
    with pytest.raises(OutcomeUnknown):
        await submit(vendor)
    assert vendor.asked == [SUBMIT]


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, content=b"\n<!doctype html>"),
        httpx.Response(404, content=b"<html>"),
        httpx.Response(446, json={}),
        httpx.Response(302),
        httpx.Response(308, content=b"moved"),
    ],
)
async def test_wrong_host_is_named_as_the_mistake(answer: httpx.Response) -> None:
    with pytest.raises(RefusedForGood, match="KLING_URL"):
        await submit(StubVendor({SUBMIT: [answer]}))


async def test_refused_duplicate_is_adopted() -> None:
    vendor = StubVendor({SUBMIT: [refused(1201)], LOOK: [succeeded(task_status="failed")]})
    assert await submit(vendor) == "831"
    assert vendor.asked == [SUBMIT, LOOK]


@pytest.mark.parametrize(
    "message", ["prompt", "external_task_id is too long", "a prompt like it exists"]
)
async def test_bad_parameter_stays_a_refusal(message: str) -> None:
    vendor = StubVendor({SUBMIT: [refused(1201, message=message)], LOOK: [refused(1203, 404)]})
    with pytest.raises(RefusedForGood, match=message):
        await submit(vendor)


@pytest.mark.parametrize("message", ["Duplicate external_task_id", "external_task_id exists"])
async def test_duplicate_that_cannot_be_found_yet_is_looked_for_again(message: str) -> None:
    vendor = StubVendor({SUBMIT: [refused(1201, message=message)], LOOK: [refused(1203, 404)]})
    with pytest.raises(OutcomeUnknown):
        await submit(vendor)


async def test_time_out_of_a_submit_allows_for_a_large_picture() -> None:
    vendor = StubVendor({SUBMIT: [succeeded()]})
    await submit(vendor, picture_at("x", fitted=bytes(3_000_000)))
    patience = vendor.requests[-1].extensions["timeout"]
    assert patience["read"] == patience["write"] == 30 + 4_000_000 / SLOWEST
    assert patience["connect"] < 10


async def test_pauses_grow_with_each_refusal_and_restart_after_a_success() -> None:
    answers = [*(refused(1303, 429) for _ in range(8)), succeeded(), refused(1302, 429)]
    vendor = StubVendor({SUBMIT: list(answers)})
    http = vendor.client()
    videos = KlingVideos(http, settings_of())
    pauses = [await _pause(videos) for _ in answers]
    assert pauses.pop(8) is None
    for least, pause in zip([1, 2, 4, 8, 16, 30, 30, 30, 1], pauses, strict=True):
        assert pause is not None
        assert least <= pause <= 1.5 * least


async def _pause(videos: KlingVideos) -> float | None:
    """After which a submit is to be tried again; None where it was taken."""
    try:
        await videos.submit(OURS, 7, prompt="a", source=picture_at("x"), callback_url=CALLBACK)
    except RefusedForNow as error:
        return error.retry_after
    return None


async def test_longer_pause_of_the_vendor_is_kept() -> None:
    answer = httpx.Response(429, json={"code": 1303}, headers={"Retry-After": "40"})
    with pytest.raises(RefusedForNow) as refusal:
        await submit(StubVendor({SUBMIT: [answer]}))
    assert refusal.value.retry_after == 40


async def test_states_of_the_vendor() -> None:
    data = {
        "task_status_msg": "m",
        "final_unit_deduction": "3.5\u202e\x1b",
        "task_result": {"videos": [{"id": "1", "url": "https://v.example/1.mp4"}]},
    }
    for word, state in {
        "submitted": "queued",
        "processing": "running",
        "succeed": "succeeded",
        "failed": "failed",
        "a word of tomorrow": "running",
    }.items():
        found = await status(StubVendor({LOOK: [succeeded(task_status=word, **data)]}))
        said = {"message": "m", "url": "https://v.example/1.mp4", "units": "3.5"}
        assert found == VendorStatus.model_validate({"vendor_id": "831", "state": state, **said})


async def test_permanent_failure_is_final() -> None:
    for word, message, final in (
        ("failed", "Failure to pass the risk control system", True),
        ("failed", "the content policy was triggered", True),
        ("failed", "internal error", False),
        ("processing", "Failure to pass the risk control system", False),
    ):
        vendor = StubVendor({LOOK: [succeeded(task_status=word, task_status_msg=message)]})
        assert present(await status(vendor)).final is final


@pytest.mark.parametrize(
    "result", [{}, {"videos": []}, {"videos": [{}]}, {"videos": [{"url": ""}]}]
)
async def test_success_may_lack_the_address_of_the_video(result: dict[str, Any]) -> None:
    vendor = StubVendor({LOOK: [succeeded(task_status="succeed", task_result=result)]})
    found = present(await status(vendor))
    assert (found.state, found.url, found.units) == ("succeeded", None, None)


@pytest.mark.parametrize(
    "answer",
    [refused(1203, 404), refused(1201, message="Task not found"), refused(1200, 400, "not found")],
)
async def test_unknown_task_is_none(answer: Answer) -> None:
    assert await status(StubVendor({LOOK: [answer]})) is None


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (refused(1202, 404), RefusedForGood),
        (refused(1201), RefusedForGood),
        (httpx.Response(404, content=b"<html>"), RefusedForGood),
        (reply(404), RefusedForGood),
        (refused(5000, 500, "not found"), OutcomeUnknown),
        (succeeded(task_id=None), OutcomeUnknown),
        (succeeded(task_result={"videos": [{"url": 5}]}), OutcomeUnknown),
        (reply(code=0, data=[]), OutcomeUnknown),
    ],
)
async def test_only_the_documented_answer_means_not_found(
    answer: Answer, kind: type[VendorError]
) -> None:
    with pytest.raises(kind):
        await status(StubVendor({LOOK: [answer]}))


@pytest.mark.parametrize(
    ("asked", "told", "is_ours"),
    [
        ("831", {}, True),
        ("831", {"task_info": {"external_task_id": OURS}}, True),
        ("831", {"task_id": "832"}, False),
        (OURS, {}, True),
        (OURS, {"task_info": {"external_task_id": ""}}, True),
        (OURS, {"task_info": {"external_task_id": OURS}}, True),
        (OURS, {"task_info": {"external_task_id": OTHER}}, False),
        (OURS, {"external_task_id": OTHER}, False),
    ],
)
async def test_status_of_another_task_is_ignored(
    asked: str, told: dict[str, Any], is_ours: bool
) -> None:
    """Else one job would get the file of another."""
    vendor = StubVendor({f"GET {PATH}/{asked}": [succeeded(**told)]})
    if is_ours:
        assert present(await status(vendor, asked)).vendor_id == "831"
    else:
        with pytest.raises(OutcomeUnknown, match="another generation"):
            await status(vendor, asked)


OTHERS = succeeded(task_info={"external_task_id": OTHER})


@pytest.mark.parametrize(
    "answers",
    [{SUBMIT: [OTHERS]}, {SUBMIT: [refused(1201)], LOOK: [OTHERS]}],
    ids=["the submit's own answer", "the look-up of a duplicate"],
)
async def test_submit_answered_for_another_task_may_have_arrived(
    answers: dict[str, list[Answer]],
) -> None:
    with pytest.raises(OutcomeUnknown, match="another generation"):
        await submit(StubVendor(answers))


async def test_broken_character_is_replaced_in_a_message_and_refused_in_an_address_or_id() -> None:
    told = {
        "task_status": "succeed",
        "task_status_msg": f"cut {CUT}",
        "task_result": {"videos": [{"url": f"https://v.example/{CUT}.mp4"}]},
    }
    found = present(await status(StubVendor({LOOK: [succeeded(**told)]})))
    assert (found.state, found.message, found.url) == ("succeeded", "cut \ufffd", None)
    vendor = StubVendor({SUBMIT: [succeeded(task_id=CUT)], LOOK: [succeeded(task_id=CUT)]})
    with pytest.raises(OutcomeUnknown, match="without its task_id"):
        await submit(vendor)
    with pytest.raises(OutcomeUnknown, match="unexpected form"):
        await status(vendor)
