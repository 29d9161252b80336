"""fal's queue over real HTTP: submit, status, response, cancel, by the addresses it returns."""

import base64
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from services.mock_comfyui.pictures.drawing import draw_picture
from services.mock_kling.config import DEFAULT_FAL_KEY
from tests.services.mock_core.serving import HURRY, Json, Service
from tests.services.mock_kling.native.client import configure

MODEL = "/fal/fal-ai/kling-video/v2.1/standard/image-to-video"
KEY = {"Authorization": f"Key {DEFAULT_FAL_KEY}"}
PICTURE = base64.b64encode(draw_picture("猫", "", "", size=(400, 300))).decode()
INPUTS = {"prompt": "跑", "image_url": f"data:image/png;base64,{PICTURE}", "duration": "5"}
SLOW = 0.001


async def call(service: Service, *, webhook: str = "", **inputs: object) -> Json:
    path = f"{MODEL}?fal_webhook={quote(webhook, safe='')}" if webhook else MODEL
    reply = await service.post(path, {**INPUTS, **inputs}, **KEY)
    assert reply.status_code == 200, reply.text
    return dict(reply.json())


async def ask(service: Service, url: str) -> httpx.Response:
    return await service.http.get(url, headers=KEY)


async def test_a_request_goes_through_the_queue_to_a_video(video_mock: Service) -> None:
    await configure(video_mock, speed=SLOW)
    queued = await call(video_mock)
    assert (queued["status"], queued["queue_position"]) == ("IN_QUEUE", 0)
    status = await ask(video_mock, queued["status_url"])
    assert (status.status_code, status.json()["status"]) == (202, "IN_QUEUE")
    early = await ask(video_mock, queued["response_url"])
    assert (early.status_code, early.json()) == (400, {"detail": "Request is still in progress"})
    await configure(video_mock, speed=HURRY)
    await video_mock.quiet()
    status = await ask(video_mock, queued["status_url"])
    assert (status.status_code, status.json()["status"]) == (200, "COMPLETED")
    assert "error" not in status.json()
    video = (await ask(video_mock, queued["response_url"])).json()["video"]
    file = await video_mock.http.get(video["url"])
    assert file.headers["content-type"] == video["content_type"] == "video/mp4"


async def test_a_running_request_has_no_position(video_mock: Service) -> None:
    await video_mock.arm({"where": "start", "do": "stick"})
    queued = await call(video_mock)
    while (told := (await ask(video_mock, queued["status_url"])).json())["status"] == "IN_QUEUE":
        pass
    assert told["status"] == "IN_PROGRESS"
    assert "queue_position" not in told


async def test_the_addresses_are_those_of_the_application_alone(video_mock: Service) -> None:
    queued = await call(video_mock)
    for name in ("status_url", "response_url", "cancel_url"):
        path = httpx.URL(queued[name]).path
        assert path.startswith(f"/fal/fal-ai/kling-video/requests/{queued['request_id']}")
    by_endpoint = await ask(video_mock, f"{MODEL}/requests/{queued['request_id']}/status")
    assert by_endpoint.status_code in (404, 405)


async def test_who_waits_is_told_how_many_wait_before(video_mock: Service) -> None:
    await configure(video_mock, speed=SLOW)
    queued = [await call(video_mock) for _ in range(3)]
    assert [each["queue_position"] for each in queued] == [0, 1, 2]
    await video_mock.http.put(queued[0]["cancel_url"], headers=KEY)
    told = (await ask(video_mock, queued[2]["status_url"])).json()
    assert told["queue_position"] == 1


async def test_what_a_model_does_not_know_is_dropped_without_a_word(video_mock: Service) -> None:
    queued = await call(video_mock, webhook_url="http://127.0.0.1:9/", seed="x", nonsense=[1])
    await video_mock.quiet()
    assert (await ask(video_mock, queued["response_url"])).status_code == 200
    (row,) = await video_mock.json("/admin/ledger")
    assert (row["charged"], row["callbacks"]) == (True, [])


@pytest.mark.parametrize(
    ("inputs", "member"),
    [
        ({"image_url": None}, "image_url"),
        ({"image_url": "file:///etc/passwd"}, "image_url"),
        ({"prompt": None}, "prompt"),
        ({"duration": "16"}, "duration"),
    ],
)
async def test_bad_inputs_are_queued_and_refused_by_the_model(
    video_mock: Service, inputs: Json, member: str
) -> None:
    queued = await call(video_mock, **inputs)
    await video_mock.quiet()
    status = (await ask(video_mock, queued["status_url"])).json()
    assert (status["status"], status["error"]) == ("COMPLETED", "invalid inputs")
    response = await ask(video_mock, queued["response_url"])
    assert response.status_code == 422
    (mistake,) = response.json()["detail"]
    assert mistake["loc"] == ["body", member]
    assert not (await video_mock.json("/admin/ledger"))[0]["charged"]


async def test_a_picture_that_is_not_there_fails_the_request(video_mock: Service) -> None:
    queued = await call(video_mock, image_url="http://127.0.0.1:9/none.png")
    await video_mock.quiet()
    response = await ask(video_mock, queued["response_url"])
    assert response.status_code == 422
    assert "image download failed" in response.json()["detail"][0]["msg"]


async def _cancel(service: Service, url: str) -> tuple[int, str]:
    reply = await service.http.put(url, headers=KEY)
    return reply.status_code, reply.json()["status"]


async def test_a_request_is_cancelled_once(video_mock: Service) -> None:
    await configure(video_mock, speed=SLOW)
    queued = await call(video_mock)
    assert await _cancel(video_mock, queued["cancel_url"]) == (202, "CANCELLATION_REQUESTED")
    assert await _cancel(video_mock, queued["cancel_url"]) == (400, "ALREADY_COMPLETED")
    assert (await ask(video_mock, queued["status_url"])).json()["error"] == "cancelled"
    assert (await ask(video_mock, queued["response_url"])).status_code == 400
    nobody = queued["cancel_url"].replace(queued["request_id"], "nobody")
    assert await _cancel(video_mock, nobody) == (404, "NOT_FOUND")
    assert (await video_mock.json("/admin/stats"))["charged"] == 0


async def test_a_request_that_has_ended_is_cancelled_no_more(video_mock: Service) -> None:
    queued = await call(video_mock)
    await video_mock.quiet()
    assert await _cancel(video_mock, queued["cancel_url"]) == (400, "ALREADY_COMPLETED")


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Key another"}, {"Authorization": "x"}])
async def test_who_has_no_key_is_refused(video_mock: Service, headers: dict[str, str]) -> None:
    submitted = await video_mock.post(MODEL, INPUTS, **headers)
    asked = await video_mock.http.get("/fal/fal-ai/kling-video/requests/1", headers=headers)
    for reply in (submitted, asked):
        assert (reply.status_code, reply.json()) == (401, {"detail": "Authentication is required"})
    assert (await video_mock.json("/admin/stats"))["accepted"] == 0


async def test_a_request_is_unknown_under_another_application(video_mock: Service) -> None:
    queued = await call(video_mock)
    other = queued["status_url"].replace("kling-video", "flux")
    for url in (other, queued["status_url"].replace(queued["request_id"], "nobody")):
        reply = await ask(video_mock, url)
        assert (reply.status_code, set(reply.json())) == (404, {"detail"})


@pytest.mark.parametrize(
    ("rule", "status"),
    [
        ({"where": "submit", "do": "refuse", "with": {"status": 503}}, 503),
        ({"where": "submit", "do": "lose-reply", "with": {"how": "500"}}, 500),
    ],
)
async def test_faults_meet_this_wire_in_its_words(
    video_mock: Service, rule: Json, status: int
) -> None:
    await video_mock.arm(rule)
    reply = await video_mock.post(MODEL, INPUTS, **KEY)
    assert (reply.status_code, set(reply.json())) == (status, {"detail"})
    accepted: Any = (await video_mock.json("/admin/stats"))["accepted"]
    assert accepted == (rule["do"] == "lose-reply")
