"""The dialect of a relay against a stub: one code for all refusals, and no look-up by our id."""

import json
from typing import Any

import httpx
import pytest

from services.worker.vendors.kling.chosen import kling_videos
from shared.errors import OutcomeUnknown, RefusedForGood, RefusedForNow, VendorError
from tests.services.worker.vendors.kling.clients import PATH, settings_of, status, submit
from tests.services.worker.vendors.stub import CUT, Answer, StubVendor, reply
from tests.services.worker.vendors.usual import OURS

SUBMIT, LOOK = f"POST {PATH}", f"GET {PATH}/r-1"
RELAY: dict[str, Any] = {"kling_dialect": "newapi"}
KLINGS = {
    "code": 0,
    "data": {
        "task_id": "831",
        "final_unit_deduction": "3.5",
        "task_result": {"videos": [{"url": "https://v/1"}]},
    },
}


def failed(message: str, status: int = 400, code: str = "task_failed") -> Answer:
    return reply(status, code=code, message=f"{message} (request id: 20251303130100000)", data=None)


def task(**fields: Any) -> Answer:
    return reply(code="success", message="", data={"task_id": "r-1"} | fields)


async def test_a_submit_says_the_model_by_both_names_and_tells_no_address_to_call_back_at() -> None:
    vendor = StubVendor({SUBMIT: [reply(code=0, task_id="r-1", data={"task_id": "831"})]})
    assert await submit(vendor, **RELAY) == "r-1"
    body = vendor.body()
    assert (body["model"], body["model_name"]) == ("kling-v2-6", "kling-v2-6")
    assert body["external_task_id"] == OURS
    assert "callback_url" not in body


@pytest.mark.parametrize(
    "answer",
    [reply(code=0, data={"task_id": "r-1"}), reply(id="r-1", object="video"), reply(task_id="r-1")],
)
async def test_other_versions_have_the_id_elsewhere(answer: Answer) -> None:
    assert await submit(StubVendor({SUBMIT: [answer]}), **RELAY) == "r-1"


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("parallel task over resource pack limit", RefusedForNow),
        ("request rate is over the limit", RefusedForNow),
        ('{"code":1303,"message":"no"}', RefusedForNow),
        ('{"code":1302,"message":"no"}', RefusedForNow),
        ("code 5001", RefusedForNow),
        ("service temporarily unavailable", RefusedForNow),
        ("code 5002", OutcomeUnknown),
        ("internal time-out", OutcomeUnknown),
        ("internal error, try again later", OutcomeUnknown),
        ("account balance not enough", RefusedForGood),
        ('{"code":1102,"message":"over the limit of the pack"}', RefusedForGood),
        ("could not generate: the prompt is against the policy", RefusedForGood),
        ("over the limit of tasks", RefusedForNow),
        ("rate-limited", RefusedForNow),
        ("the prompt is over the limit of 2500 characters", RefusedForGood),
        ("too many characters in the prompt", RefusedForGood),
        ("the image is over the 10MB limit", RefusedForGood),
        ("the frame rate is not supported", RefusedForGood),
        ("frame rate over the limit", RefusedForGood),
        ("the model kling-v9 is unavailable", RefusedForGood),
        ("the model is temporarily unavailable", RefusedForNow),
        ("over the limit", RefusedForGood),
        ("", RefusedForGood),
    ],
)
async def test_the_message_decides_where_every_refusal_has_one_code(
    message: str, kind: type[VendorError]
) -> None:
    vendor = StubVendor({SUBMIT: [failed(message)]})
    with pytest.raises(kind):
        await submit(vendor, **RELAY)
    assert vendor.asked == [SUBMIT]


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        (429, '{"code":1303,"message":"no"}', RefusedForNow),
        (429, '{"code":1102,"message":"no"}', RefusedForGood),
        (504, '{"code":5002,"message":"no"}', OutcomeUnknown),
        (502, "<html>bad gateway</html>", OutcomeUnknown),
        (503, "no upstream", RefusedForNow),
        (400, "no", RefusedForGood),
    ],
)
async def test_a_newer_version_has_klings_status_and_its_answer_inside(
    status: int, message: str, kind: type[VendorError]
) -> None:
    vendor = StubVendor({SUBMIT: [failed(message, status, "fail_to_fetch_task")]})
    with pytest.raises(kind):
        await submit(vendor, **RELAY)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (reply(403, code="insufficient_user_quota", message="no"), RefusedForGood),
        (reply(401, error={"message": "no"}), RefusedForGood),
        (reply(429, code="too_many"), RefusedForNow),
        (reply(500, code="do_request_failed"), OutcomeUnknown),
        (reply(code="success", data={}), OutcomeUnknown),
        (reply(code=1303, message="parallel"), RefusedForNow),
        (httpx.Response(200, content=b"<html>"), RefusedForGood),
        (httpx.ReadTimeout("slow"), OutcomeUnknown),
    ],
)
async def test_other_answers(answer: Answer, kind: type[VendorError]) -> None:
    vendor = StubVendor({SUBMIT: [answer]})
    with pytest.raises(kind):
        await submit(vendor, **RELAY)
    assert vendor.asked == [SUBMIT]


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("NOT_START", "queued"),
        ("SUBMITTED", "queued"),
        ("QUEUED", "queued"),
        ("IN_PROGRESS", "running"),
        ("SUCCESS", "succeeded"),
        ("succeeded", "succeeded"),
        ("FAILURE", "failed"),
        ("UNKNOWN", "running"),
    ],
)
async def test_the_relays_words(word: str, state: str) -> None:
    answer = task(status=word, progress="40%", fail_reason="because")
    found = await status(StubVendor({LOOK: [answer]}), "r-1", **RELAY)
    assert found is not None
    assert (found.vendor_id, found.state, found.percent) == ("r-1", state, 40)
    assert found.message == ("because" if state == "failed" else "")


@pytest.mark.parametrize(
    "where",
    [
        {"result_url": "https://v/1"},
        {"url": "https://v/1"},
        {"data": KLINGS},
        {"data": json.dumps(KLINGS)},
        {"fail_reason": "https://v/1"},
    ],
    ids=["result_url", "url", "Kling's own answer", "that as text", "fail_reason"],
)
async def test_where_its_versions_have_the_address_of_a_video(where: dict[str, Any]) -> None:
    answer = task(status="SUCCESS", progress="100%", **where)
    found = await status(StubVendor({LOOK: [answer]}), "r-1", **RELAY)
    assert found is not None
    assert (found.url, found.percent) == ("https://v/1", 100)
    assert found.units == ("3.5" if "data" in where else None)


async def test_half_a_character_in_klings_own_answer_is_none_of_an_address() -> None:
    inside = {"task_result": {"videos": [{"url": f"https://v/{CUT}"}]}, "task_id": "831"}
    answer = task(status="SUCCESS", data=json.dumps({"code": 0, "data": inside}))
    found = await status(StubVendor({LOOK: [answer]}), "r-1", **RELAY)
    assert found is not None
    assert (found.state, found.url) == ("succeeded", None)


@pytest.mark.parametrize("progress", [None, "", "much", "-1%", "999999999%"])
async def test_a_progress_that_is_none(progress: str | None) -> None:
    found = await status(
        StubVendor({LOOK: [task(status="SUCCESS", progress=progress, data="{")]}), "r-1", **RELAY
    )
    assert found is not None
    assert (found.url, found.percent) == (None, 0)


async def test_one_that_passes_klings_answers_on_is_understood() -> None:
    answer = reply(code=0, data={"task_id": "831", "task_status": "failed", "task_status_msg": "m"})
    found = await status(StubVendor({LOOK: [answer]}), "r-1", **RELAY)
    assert found is not None
    assert (found.state, found.message) == ("failed", "m")
    assert found.vendor_id == "r-1", "it is asked for by the relay's id, not by Kling's"


async def test_a_record_of_another_task_is_no_news() -> None:
    answer = task(task_id="r-2", status="SUCCESS", result_url="https://v/2")
    with pytest.raises(OutcomeUnknown, match="another generation"):
        await status(StubVendor({LOOK: [answer]}), "r-1", **RELAY)


@pytest.mark.parametrize("code", ["task_not_exist", "task_not_found"])
async def test_what_the_relay_does_not_know_is_none(code: str) -> None:
    assert await status(StubVendor({LOOK: [reply(400, code=code)]}), "r-1", **RELAY) is None


@pytest.mark.parametrize("answer", [reply(400, code="invalid"), reply(500), reply(code=1303)])
async def test_no_other_answer_is_news(answer: Answer) -> None:
    with pytest.raises(VendorError):
        await status(StubVendor({LOOK: [answer]}), "r-1", **RELAY)


async def test_it_cannot_be_asked_by_our_id() -> None:
    async with StubVendor({}).client() as http:
        traits = kling_videos(http, settings_of(**RELAY)).traits
    assert (traits.looked_up, traits.pushes) == (False, False)
