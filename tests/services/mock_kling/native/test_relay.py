"""A relay before the vendor: its own forms, one refusal for all, and no id but its own."""

import json

import httpx
import pytest

from services.mock_kling.errors import CODES
from tests.services.mock_core.serving import Json, Service
from tests.services.mock_kling.native.client import KEY, PICTURE, TASKS, auth, configure, token

OURS = "job-1.video.1"


@pytest.fixture
async def relay(video_mock: Service) -> Service:
    await configure(video_mock, dialect="new-api")
    return video_mock


async def _create(relay: Service, **changes: object) -> httpx.Response:
    body = {"image": PICTURE, "prompt": "跑", "external_task_id": OURS, **changes}
    return await relay.post(TASKS, body, **KEY)


async def _ask(relay: Service, any_id: str) -> httpx.Response:
    return await relay.http.get(f"{TASKS}/{any_id}", headers=KEY)


async def test_a_submit_is_answered_with_the_tasks_id_on_top(relay: Service) -> None:
    reply = await _create(relay, model_name="kling-v2-6")
    assert reply.status_code == 200
    told = reply.json()
    assert told["task_id"] == told["id"] == (await relay.row(OURS))["job_id"]
    assert (told["object"], told["model"], told["status"]) == ("video", "kling-v2-6", "queued")
    assert not {"code", "data"} & set(told)


async def test_a_task_is_told_in_the_relays_record_with_the_vendors_inside(
    relay: Service,
) -> None:
    task_id = (await _create(relay)).json()["task_id"]
    await relay.quiet()
    reply = (await _ask(relay, task_id)).json()
    assert reply["code"] == "success"
    record: Json = reply["data"]
    assert (record["task_id"], record["status"], record["progress"]) == (task_id, "SUCCESS", "100%")
    inside = record["data"]["data"]
    assert inside["task_status"] == "succeed"
    assert record["result_url"] == inside["task_result"]["videos"][0]["url"]


async def test_a_failed_task_says_why(relay: Service) -> None:
    reply = await _create(relay, image="http://127.0.0.1:9/none.png")
    await relay.quiet()
    record = (await _ask(relay, reply.json()["task_id"])).json()["data"]
    assert (record["status"], record["result_url"]) == ("FAILURE", "")
    assert "image download failed" in record["fail_reason"]


async def test_our_id_and_one_that_never_was_are_unknown(relay: Service) -> None:
    await _create(relay)
    for any_id in (OURS, "nobody"):
        reply = await _ask(relay, any_id)
        assert (reply.status_code, reply.json()["code"]) == (400, "task_not_exist")


@pytest.mark.parametrize("code", sorted(CODES))
async def test_whatever_the_vendor_refuses_is_one_refusal(relay: Service, code: int) -> None:
    await relay.arm({"where": "submit", "do": "refuse", "with": {"code": code}})
    reply = await _create(relay)
    assert reply.status_code == 400
    assert reply.json() == {"code": "task_failed", "message": CODES[code][1], "data": None}


@pytest.mark.parametrize("code", sorted(CODES))
async def test_or_the_vendors_answer_is_inside_under_its_status(relay: Service, code: int) -> None:
    await configure(relay, dialect="new-api-wrapping")
    await relay.arm({"where": "submit", "do": "refuse", "with": {"code": code}})
    reply = await _create(relay)
    assert (reply.status_code, reply.json()["code"]) == (CODES[code][0], "fail_to_fetch_task")
    inside = json.loads(reply.json()["message"])
    assert (inside["code"], inside["message"]) == (code, CODES[code][1])


async def test_the_relays_own_refusals_have_nothing_inside(relay: Service) -> None:
    await configure(relay, dialect="new-api-wrapping")
    task_id = (await _create(relay)).json()["task_id"]
    assert (await _ask(relay, task_id)).json()["code"] == "success"
    assert (await _ask(relay, OURS)).json()["code"] == "task_not_exist"
    wrong = await relay.http.get(f"{TASKS}/nobody", headers=auth("another-key"))
    assert wrong.json()["error"]["type"] == "new_api_error"


async def test_a_bad_order_and_a_full_pool_are_the_same_refusal(relay: Service) -> None:
    await configure(relay, places=1)
    bad = await _create(relay, duration="7")
    await _create(relay)
    full = await _create(relay, external_task_id="job-2.video.1")
    for reply in (bad, full):
        assert (reply.status_code, reply.json()["code"]) == (400, "task_failed")
    assert full.json()["message"] == CODES[1303][1]


@pytest.mark.parametrize("credential", ["another-key", token()])
async def test_the_relay_has_its_own_word_for_a_wrong_key(relay: Service, credential: str) -> None:
    reply = await relay.http.get(f"{TASKS}/nobody", headers=auth(credential))
    assert reply.status_code == 401
    assert reply.json()["error"]["type"] == "new_api_error"
