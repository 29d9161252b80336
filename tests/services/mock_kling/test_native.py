"""The vendor's own wire: shapes, look-up, keys and tokens; what may be ordered, and its cost."""

import base64
import io
import time
from email.utils import parsedate_to_datetime

import httpx
import pytest
from PIL import Image

from services.mock_kling.settings import DEFAULT_API_KEY
from tests.services.mock_core.serving import Json, Receiver, Service, served, small_picture
from tests.services.mock_kling.client import (
    KEY,
    PICTURE,
    SHAPES,
    TASKS,
    auth,
    create,
    ended,
    shape,
    token,
)

OURS = "job-1.video.1"


async def test_task_has_the_documented_form_and_the_same_state_on_both_routes(
    video_mock: Service, receiver: Receiver
) -> None:
    ordered = {"callback_url": receiver.url, "mode": "pro", "duration": "10"}
    created = await create(video_mock, **ordered)
    assert created.status_code == 200
    assert shape(created.json()) == shape(SHAPES["create"])
    assert created.json()["data"]["task_status"] == "submitted"
    for any_id in (created.json()["data"]["task_id"], OURS):
        done = await ended(video_mock, any_id)
        assert shape(done) == shape(SHAPES["query"])
        assert done["data"]["task_status"] == "succeed"
    url = done["data"]["task_result"]["videos"][0]["url"]
    assert (await video_mock.http.get(url)).headers["content-type"] == "video/mp4"
    assert receiver.words == ["processing", "succeed"]
    assert shape(receiver.bodies[-1]) == shape(SHAPES["callback"])
    assert receiver.bodies[-1]["final_unit_deduction"] == "7"
    assert receiver.bodies[-1]["task_result"]["videos"][0]["duration"] == "10"
    assert (await video_mock.json(f"/video/status/{OURS}"))["status"] == "succeed"
    assert (await video_mock.row(OURS))["charged"]


async def test_failed_task_is_a_200_with_code_0(video_mock: Service) -> None:
    await create(video_mock, image="http://127.0.0.1:9/none.png")
    body = await ended(video_mock)
    assert (body["code"], body["data"]["task_status"]) == (0, "failed")
    assert "image download failed" in body["data"]["task_status_msg"]
    assert body["data"]["final_unit_deduction"] == "0"


async def test_unknown_tasks_and_invalid_json(video_mock: Service) -> None:
    for method, path, status, code in (
        ("GET", f"{TASKS}/nobody", 404, 1203),
        ("DELETE", TASKS, 404, 1202),
        ("GET", "/v1/none", 404, 1203),
        ("POST", TASKS, 400, 1200),
    ):
        content = b"{" if method == "POST" else None
        reply = await video_mock.http.request(method, path, content=content, headers=KEY)
        assert (reply.status_code, reply.json()["code"]) == (status, code)


OTHER_SECRET = "another-secret-of-thirty-two-characters"


async def _asked_with(service: Service, credential: str) -> httpx.Response:
    return await service.http.get(f"{TASKS}/nobody", headers=auth(credential))


async def test_static_key_is_accepted(video_mock: Service) -> None:
    assert (await _asked_with(video_mock, DEFAULT_API_KEY)).status_code == 404
    await video_mock.configure(api_key="another-key")
    assert (await _asked_with(video_mock, "another-key")).status_code == 404
    old = await _asked_with(video_mock, DEFAULT_API_KEY)
    assert (old.status_code, old.json()["code"]) == (401, 1002)
    assert old.json()["message"] == "api key not found"
    assert (await _asked_with(video_mock, token())).status_code == 404


async def test_invalid_tokens(video_mock: Service) -> None:
    for headers, code in (
        ({}, 1001),
        ({"Authorization": "Basic eA=="}, 1002),
        (auth("nonsense"), 1002),
        (auth("a.b.c"), 1002),
        (auth(token(secret=OTHER_SECRET)), 1000),
        (auth(token("another-key")), 1000),
        (auth(token(exp="soon")), 1002),
        (auth(token(nbf=time.time() + 86_400)), 1003),
        (auth(token(exp=time.time() - 1)), 1004),
    ):
        reply = await video_mock.http.get(f"{TASKS}/nobody", headers=headers)
        assert (reply.status_code, reply.json()["code"]) == (401, code), headers
        assert shape(reply.json()) == shape(SHAPES["error"])


@pytest.mark.parametrize(("skew", "code"), [(7200, 1004), (-7200, 1003)])
async def test_skewed_clock_accepts_only_tokens_of_its_own_date(
    video_mock: Service, skew: int, code: int
) -> None:
    await video_mock.configure(clock_skew=skew)
    refused = await _asked_with(video_mock, token())
    assert (refused.status_code, refused.json()["code"]) == (401, code)
    there = parsedate_to_datetime(refused.headers["date"]).timestamp()
    assert there == pytest.approx(time.time() + skew, abs=60)
    minted = token(exp=int(there) + 1800, nbf=int(there) - 5)
    assert (await _asked_with(video_mock, minted)).status_code == 404


def _drawn(width: int, height: int, form: str) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height), "navy").save(out, form)
    return out.getvalue()


def _encoded(picture: bytes) -> str:
    return base64.b64encode(picture).decode()


def _picture(width: int, height: int, form: str = "PNG") -> str:
    return _encoded(_drawn(width, height, form))


BIG = _encoded(_drawn(400, 400, "PNG") + bytes(10_000_000))


async def test_bad_parameter_is_refused(video_mock: Service) -> None:
    for changes, says in (
        ({"image": None}, "image"),
        ({"image": f"data:image/png;base64,{PICTURE}"}, "image must be base64"),
        ({"image": "%%%"}, "image is neither"),
        ({"image": _encoded(b"no picture")}, "image is not a valid"),
        ({"image": _picture(299, 400)}, "image sides"),
        ({"image": _picture(300, 751)}, "image ratio"),
        ({"image": _picture(751, 300)}, "image ratio"),
        ({"image": _picture(400, 400, "WEBP")}, "image is not a valid"),
        ({"image": BIG}, "image is larger"),
        ({"model_name": "kling-v2-1", "mode": "pro", "image_tail": "%%%"}, "image is neither"),
        ({"prompt": "x" * 2501}, "prompt"),
        ({"duration": 5}, "duration"),
        ({"mode": "fast"}, "mode"),
        ({"cfg_scale": 1.5}, "cfg_scale"),
        ({"model_name": "kling-v2-6", "duration": "7"}, "duration 7"),
        ({"model_name": "kling-v2-6", "mode": "4k"}, "mode 4k"),
        ({"model_name": "kling-v3", "duration": "2"}, "duration"),
        ({"model_name": "kling-v3", "duration": "16"}, "duration"),
    ):
        reply = await create(video_mock, **changes)
        assert (reply.status_code, reply.json()["code"]) == (400, 1201), says
        assert reply.json()["message"].startswith(says)
        assert shape(reply.json()) == shape(SHAPES["error"])
    unknown = await create(video_mock, model_name="kling-v99")
    assert (unknown.status_code, unknown.json()["code"]) == (404, 1203)
    assert (await video_mock.json("/admin/stats"))["accepted"] == 0


async def test_values_at_the_bounds_are_accepted_and_empty_ones_ignored(
    video_mock: Service,
) -> None:
    empty = {"external_task_id": "", "callback_url": "", "image_tail": ""}
    for image in (_picture(300, 750), _picture(750, 300), _picture(300, 300, "JPEG")):
        assert (await create(video_mock, image=image, **empty)).status_code == 200


async def test_fetched_picture_is_checked_as_strictly(video_mock: Service) -> None:
    async with served(small_picture()) as base:
        await create(video_mock, image=f"{base}/low.png")
        body = await ended(video_mock)
    assert body["data"]["task_status_msg"] == "image sides must be 300 px or more"


async def test_ordered_units_are_deducted(video_mock: Service) -> None:
    orders: list[tuple[Json, str]] = [
        ({}, "2"),
        ({"mode": "pro", "duration": "10"}, "7"),
        ({"model_name": "kling-v3", "duration": "3"}, "1.2"),
        ({"model_name": "kling-v3", "duration": "15", "mode": "4k"}, "45"),
    ]
    for number, (ordered, _) in enumerate(orders):
        await create(video_mock, external_task_id=f"j-{number}.1", **ordered)
    for number, (ordered, units) in enumerate(orders):
        data = (await ended(video_mock, f"j-{number}.1"))["data"]
        assert (data["task_status"], data["final_unit_deduction"]) == ("succeed", units)
        (video,) = data["task_result"]["videos"]
        assert video["duration"] == ordered.get("duration", "5")


async def test_costs_list_what_was_spent(video_mock: Service) -> None:
    await create(video_mock, model_name="kling-v3", duration="10")
    await ended(video_mock)
    params = {"start_time": "0", "end_time": "1"}
    reply = await video_mock.http.get("/account/costs", params=params, headers=KEY)
    assert shape(reply.json()) == shape(SHAPES["costs"])
    (pack,) = reply.json()["data"]["resource_pack_subscribe_infos"]
    assert pack["total_quantity"] - pack["remaining_quantity"] == 4
    assert pack["invalid_time"] > time.time() * 1000
