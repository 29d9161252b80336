"""Kling's second generation against a stub."""

import base64
from typing import Any

import pytest

from shared.errors import OutcomeUnknown, RefusedForNow, VendorError
from tests.services.worker.vendors.kling.clients import CALLBACK, OTHER, status, submit
from tests.services.worker.vendors.stub import Answer, StubVendor, reply
from tests.services.worker.vendors.usual import OURS

SUBMIT, LOOK = "POST /image-to-video/kling-3.0", "GET /tasks"
SECOND: dict[str, Any] = {"kling_generation": "2"}
TASK = {"task_id": "t-1", "task_status": "processing", "task_info": {"external_task_id": OURS}}


def listed(*tasks: dict[str, Any]) -> Answer:
    return reply(code=0, message="SUCCEED", request_id="r-1", data=list(tasks))


async def test_the_model_stands_in_the_address_and_the_picture_among_the_contents() -> None:
    vendor = StubVendor({SUBMIT: [reply(code=0, data={"task_id": "t-1"})]})
    assert await submit(vendor, **SECOND, kling_duration=7, kling_sound="on") == "t-1"
    assert vendor.body() == {
        "contents": [
            {"type": "prompt", "text": "猫"},
            {"type": "first_frame", "url": base64.b64encode(b"our picture").decode()},
        ],
        "settings": {"resolution": "720p", "duration": 7, "audio": "native"},
        "options": {"external_task_id": OURS, "callback_url": CALLBACK},
    }


@pytest.mark.parametrize(("mode", "resolution"), [("std", "720p"), ("pro", "1080p"), ("4k", "4k")])
async def test_what_more_is_wanted_goes_into_the_settings(mode: str, resolution: str) -> None:
    vendor = StubVendor({"POST /image-to-video/kling-3.1": [reply(code=0, data={"id": "t-1"})]})
    extra = '{"aspect_ratio": "1:1"}'
    await submit(
        vendor,
        **SECOND,
        kling_model="kling-3.1",
        kling_mode=mode,
        kling_extra=extra,
        kling_image="url",
    )
    settings = vendor.body()["settings"]
    assert (settings["aspect_ratio"], settings["resolution"]) == ("1:1", resolution)
    assert vendor.body()["contents"][1]["url"] == "https://images.example/1.png"


@pytest.mark.parametrize(
    ("task_id", "query"), [(OURS, f"external_task_ids={OURS}"), ("t-1", "task_ids=t-1")]
)
async def test_a_task_is_asked_for_by_either_id(task_id: str, query: str) -> None:
    vendor = StubVendor({LOOK: [listed(TASK)]})
    found = await status(vendor, task_id, **SECOND)
    assert found is not None
    assert (found.vendor_id, found.state) == ("t-1", "running")
    assert vendor.requests[-1].url.query.decode() == query


@pytest.mark.parametrize(
    "answer",
    [
        listed(),
        reply(code=0),
        reply(code=0, data={"tasks": []}),
    ],
    ids=["an empty list", "no list", "an empty list in an object"],
)
async def test_one_that_is_not_in_the_list_is_gone_and_not_waiting(answer: Answer) -> None:
    assert await status(StubVendor({LOOK: [answer]}), **SECOND) is None


@pytest.mark.parametrize("asked", [OURS, "t-1"])
@pytest.mark.parametrize("told", [{}, {"task_info": {"external_task_id": OTHER}}])
async def test_a_list_of_others_does_not_say_that_one_is_gone(
    asked: str, told: dict[str, Any]
) -> None:
    """Else it would be submitted again."""
    with pytest.raises(OutcomeUnknown, match="another generation"):
        await status(StubVendor({LOOK: [listed({"task_id": "t-2", **told})]}), asked, **SECOND)


async def test_a_submit_that_is_answered_for_another_task_may_have_arrived() -> None:
    vendor = StubVendor({SUBMIT: [reply(code=0, data={"id": "t-2", "external_id": OTHER})]})
    with pytest.raises(OutcomeUnknown, match="another generation"):
        await submit(vendor, **SECOND)


@pytest.mark.parametrize("word", ["succeed", "succeeded"])
@pytest.mark.parametrize(
    "where",
    [{"outputs": [{"url": "https://v/1"}]}, {"task_result": {"videos": [{"url": "https://v/1"}]}}],
)
async def test_a_success(word: str, where: dict[str, Any]) -> None:
    billing = [{"charge_type": "unit", "amount": "3.5"}]
    task = {"id": "t-1", "external_id": OURS, "status": word, "billing": billing, **where}
    found = await status(StubVendor({LOOK: [listed({"id": "t-0"}, task)]}), **SECOND)
    assert found is not None
    assert (found.vendor_id, found.state, found.url) == ("t-1", "succeeded", "https://v/1")
    assert found.units == "3.5"


async def test_nothing_was_charged() -> None:
    vendor = StubVendor({LOOK: [listed({**TASK, "billing": []})]})
    found = await status(vendor, **SECOND)
    assert found is not None
    assert found.units is None


async def test_a_refused_duplicate_is_adopted() -> None:
    vendor = StubVendor({SUBMIT: [reply(400, code=1201)], LOOK: [listed(TASK)]})
    assert await submit(vendor, **SECOND) == "t-1"


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (reply(429, code=1303), RefusedForNow),
        (reply(500, code=5000), OutcomeUnknown),
        (listed({"external_task_id": OURS, "status": "failed"}), OutcomeUnknown),
    ],
)
async def test_an_answer_that_is_none_is_no_news(answer: Answer, kind: type[VendorError]) -> None:
    with pytest.raises(kind):
        await status(StubVendor({LOOK: [answer]}), **SECOND)
