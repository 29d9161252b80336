"""What Kling tells of a task, and which answers say that there is none."""

from typing import Any

import httpx
import pytest

from services.worker.vendors.vendor import VendorStatus
from shared.errors import OutcomeUnknown, RefusedForGood, VendorError
from tests.services.worker.vendors.kling.clients import (
    LOOK,
    OTHER,
    PATH,
    SUBMIT,
    refused,
    status,
    submit,
    succeeded,
)
from tests.services.worker.vendors.stub import CUT, Answer, StubVendor, reply
from tests.services.worker.vendors.usual import OURS


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("submitted", "queued"),
        ("processing", "running"),
        ("succeed", "succeeded"),
        ("failed", "failed"),
        ("a word of tomorrow", "running"),
    ],
)
async def test_the_vendors_words(word: str, state: str) -> None:
    data = {
        "task_status_msg": "m",
        "final_unit_deduction": "3.5\u202e\x1b",
        "task_result": {"videos": [{"id": "1", "url": "https://v.example/1.mp4"}]},
    }
    vendor = StubVendor({LOOK: [succeeded(task_status=word, **data)]})
    assert await status(vendor) == VendorStatus.model_validate(
        {
            "vendor_id": "831",
            "state": state,
            "message": "m",
            "url": "https://v.example/1.mp4",
            "units": "3.5",
        }
    )


@pytest.mark.parametrize(
    ("word", "message", "final"),
    [
        ("failed", "Failure to pass the risk control system", True),
        ("failed", "the content policy was triggered", True),
        ("failed", "internal error", False),
        ("processing", "Failure to pass the risk control system", False),
    ],
)
async def test_what_every_other_attempt_would_meet_is_final(
    word: str, message: str, final: bool
) -> None:
    vendor = StubVendor({LOOK: [succeeded(task_status=word, task_status_msg=message)]})
    found = await status(vendor)
    assert found is not None
    assert found.final is final


@pytest.mark.parametrize(
    "result", [{}, {"videos": []}, {"videos": [{}]}, {"videos": [{"url": ""}]}]
)
async def test_a_success_may_not_say_where_the_video_is(result: dict[str, Any]) -> None:
    vendor = StubVendor({LOOK: [succeeded(task_status="succeed", task_result=result)]})
    found = await status(vendor)
    assert found is not None
    assert (found.state, found.url, found.units) == ("succeeded", None, None)


@pytest.mark.parametrize(
    "answer",
    [refused(1203, 404), refused(1201, message="Task not found"), refused(1200, 400, "not found")],
)
async def test_what_the_vendor_does_not_know_is_none(answer: Answer) -> None:
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
async def test_no_other_answer_says_that_a_task_is_not_there(
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
async def test_a_status_of_another_task_is_no_news(
    asked: str, told: dict[str, Any], is_ours: bool
) -> None:
    """Else one job would get the file of another."""
    vendor = StubVendor({f"GET {PATH}/{asked}": [succeeded(**told)]})
    if is_ours:
        found = await status(vendor, asked)
        assert found is not None
        assert found.vendor_id == "831"
    else:
        with pytest.raises(OutcomeUnknown, match="another generation"):
            await status(vendor, asked)


OTHERS = succeeded(task_info={"external_task_id": OTHER})


@pytest.mark.parametrize(
    "answers",
    [{SUBMIT: [OTHERS]}, {SUBMIT: [refused(1201)], LOOK: [OTHERS]}],
    ids=["the submit's own answer", "the look-up of a duplicate"],
)
async def test_a_submit_that_is_answered_for_another_task_may_have_arrived(
    answers: dict[str, list[Answer]],
) -> None:
    with pytest.raises(OutcomeUnknown, match="another generation"):
        await submit(StubVendor(answers))


async def test_half_a_character_is_replaced_in_a_message_and_none_of_an_address_or_an_id() -> None:
    told = {
        "task_status": "succeed",
        "task_status_msg": f"cut {CUT}",
        "task_result": {"videos": [{"url": f"https://v.example/{CUT}.mp4"}]},
    }
    found = await status(StubVendor({LOOK: [succeeded(**told)]}))
    assert found is not None
    assert (found.state, found.message, found.url) == ("succeeded", "cut \ufffd", None)
    vendor = StubVendor({SUBMIT: [succeeded(task_id=CUT)], LOOK: [succeeded(task_id=CUT)]})
    with pytest.raises(OutcomeUnknown, match="without a task_id"):
        await submit(vendor)
    with pytest.raises(OutcomeUnknown, match="does not fit"):
        await status(vendor)
