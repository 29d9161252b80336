"""What may be ordered, what it costs, and when the vendor takes no task."""

import base64
import io
import time

import httpx
import pytest
from PIL import Image

from tests.services.mock_core.serving import HURRY, Json, Picture, Service, served
from tests.services.mock_kling.client import (
    KEY,
    PICTURE,
    SHAPES,
    configure,
    create,
    ended,
    query,
    shape,
    submit,
)


def _drawn(width: int, height: int, form: str) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height), "navy").save(out, form)
    return out.getvalue()


def _encoded(picture: bytes) -> str:
    return base64.b64encode(picture).decode()


def _picture(width: int, height: int, form: str = "PNG") -> str:
    return _encoded(_drawn(width, height, form))


BIG = _encoded(_drawn(400, 400, "PNG") + bytes(10_000_000))
TURBO, SOUNDING = "kling-v2-5-turbo", "kling-v2-6"


async def test_a_bad_parameter_is_refused(video_mock: Service) -> None:
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
        ({"model_name": SOUNDING, "duration": "7"}, "duration 7"),
        ({"model_name": SOUNDING, "mode": "4k"}, "mode 4k"),
        ({"model_name": SOUNDING, "sound": "on"}, "sound"),
        ({"model_name": TURBO, "mode": "pro", "sound": "on"}, "sound"),
        ({"model_name": "kling-v2-1", "image_tail": PICTURE}, "a last frame"),
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


async def test_what_is_at_the_bounds_is_taken_and_what_is_empty_was_not_given(
    video_mock: Service,
) -> None:
    empty = {"external_task_id": "", "callback_url": "", "image_tail": ""}
    for image in (_picture(300, 750), _picture(750, 300), _picture(300, 300, "JPEG")):
        assert (await create(video_mock, image=image, **empty)).status_code == 200


async def test_a_picture_from_an_address_is_looked_at_as_closely(video_mock: Service) -> None:
    async with served(Picture()) as base:
        await create(video_mock, image=f"{base}/low.png")
        body = await ended(video_mock)
    assert body["data"]["task_status_msg"] == "image sides must be 300 px or more"


async def test_what_was_ordered_is_what_is_deducted(video_mock: Service) -> None:
    orders: list[tuple[Json, str]] = [
        ({}, "2"),
        ({"mode": "pro", "duration": "10"}, "7"),
        ({"model_name": "kling-v2-1-master", "duration": "10"}, "20"),
        ({"model_name": TURBO}, "1.5"),
        ({"model_name": SOUNDING, "mode": "pro", "sound": "on"}, "5"),
        ({"model_name": SOUNDING, "mode": "pro", "image_tail": PICTURE}, "2.5"),
        ({"model_name": "kling-v3", "duration": "3"}, "1.8"),
        ({"model_name": "kling-v3", "duration": "15", "mode": "4k"}, "45"),
        ({"model_name": "kling-v3", "duration": "7", "mode": "pro", "sound": "on"}, "8.4"),
        ({"model_name": "kling-v3-omni", "duration": "5", "sound": "on"}, "4"),
    ]
    for number, (ordered, _) in enumerate(orders):
        await create(video_mock, external_task_id=f"j-{number}.1", **ordered)
    for number, (ordered, units) in enumerate(orders):
        data = (await ended(video_mock, f"j-{number}.1"))["data"]
        assert (data["task_status"], data["final_unit_deduction"]) == ("succeed", units)
        (video,) = data["task_result"]["videos"]
        assert video["duration"] == ordered.get("duration", "5")


SLOW = 0.001


async def test_a_full_pool_holds_a_place_until_the_end_of_a_failed_task(
    video_mock: Service,
) -> None:
    await configure(video_mock, places=1)
    await create(video_mock, image="http://127.0.0.1:9/none.png")
    full = await create(video_mock, external_task_id="job-2.video.1")
    assert (full.status_code, full.json()["code"]) == (429, 1303)
    assert (await query(video_mock, "job-1.video.1"))["code"] == 0
    await video_mock.quiet()
    assert (await create(video_mock, external_task_id="job-2.video.1")).status_code == 200


@pytest.mark.parametrize("code", [1302, 1303])
async def test_tasks_that_come_too_fast_are_refused_until_later(
    video_mock: Service, code: int
) -> None:
    rate = {"tasks": 2, "seconds": 10, "code": code}
    await configure(video_mock, speed=SLOW, rate=rate)
    replies = [await create(video_mock, external_task_id=f"j-{n}.1") for n in range(3)]
    assert [reply.status_code for reply in replies] == [200, 200, 429]
    assert replies[2].json()["code"] == code
    assert "retry-after" not in replies[2].headers
    assert (await query(video_mock, "j-0.1"))["code"] == 0
    await configure(video_mock, speed=HURRY)
    while (await create(video_mock, external_task_id="j-2.1")).status_code == 429:
        pass
    assert (await video_mock.json("/admin/stats"))["accepted"] == 3


async def test_a_callback_that_is_not_public_is_refused_where_that_is_asked_for(
    video_mock: Service,
) -> None:
    await configure(video_mock, public_callbacks=True)
    not_public = "callback_url is not a public address"
    for url, reason in (
        ("http://127.0.0.1:8001/callback", not_public),
        ("http://localhost/callback", not_public),
        ("http://[::1]:8001/callback", not_public),
        ("http://10.1.2.3/callback", not_public),
        ("http://169.254.169.254/callback", not_public),
        ("http://callback:8001/callback", not_public),
        ("https://host.internal./callback", not_public),
        (
            "https://hooks.example/callback",
            "the callback_url's host is not in MOCK_CALLBACK_HOSTS",
        ),
    ):
        reply = await create(video_mock, callback_url=url)
        assert (reply.status_code, reply.json()["code"]) == (400, 1201), url
        assert reply.json()["message"] == reason
        assert shape(reply.json()) == shape(SHAPES["error"])


FAST = 1_000_000
LIST = "resource_pack_subscribe_infos"


async def _costs(service: Service, **query: str) -> httpx.Response:
    params = {"start_time": "0", "end_time": "1", **query}
    return await service.http.get("/account/costs", params=params, headers=KEY)


async def _pack(service: Service) -> Json:
    """As soon as it may be asked for."""
    while (reply := await _costs(service)).status_code == 429:
        pass
    assert reply.status_code == 200, reply.text
    (pack,) = reply.json()["data"][LIST]
    return dict(pack)


async def test_it_may_be_asked_for_once_a_second(video_mock: Service) -> None:
    await configure(video_mock, speed=SLOW)
    first, second = await _costs(video_mock), await _costs(video_mock)
    assert first.status_code == 200
    assert shape(first.json()) == shape(SHAPES["costs"])
    assert (second.status_code, second.json()["code"]) == (429, 1302)
    await configure(video_mock, speed=FAST)
    while (other := await _costs(video_mock, resource_pack_name="another")).status_code == 429:
        pass
    assert other.json()["data"][LIST] == []


async def test_what_was_spent_is_told_half_a_day_later(video_mock: Service) -> None:
    await configure(video_mock, pack={"units": 100})
    await create(video_mock, model_name="kling-v3", duration="10")
    await ended(video_mock)
    assert (await _pack(video_mock))["remaining_quantity"] == 100
    await configure(video_mock, speed=FAST)
    while (pack := await _pack(video_mock))["remaining_quantity"] == 100:
        pass
    assert (pack["remaining_quantity"], pack["total_quantity"]) == (94, 100)


async def test_a_pack_that_is_used_up_takes_no_task_more(
    video_mock: Service, picture_url: str
) -> None:
    await configure(video_mock, pack={"units": 2})
    assert (await create(video_mock)).status_code == 200
    await video_mock.quiet()
    native = await create(video_mock, external_task_id="job-2.video.1")
    assert (native.status_code, native.json()["code"]) == (429, 1102)
    plain = await submit(video_mock, picture_url, external_task_id="job-2.video.1")
    assert (plain.status_code, plain.json()["code"]) == (429, 1102)
    await configure(video_mock, speed=FAST)
    while (await _pack(video_mock))["status"] != "runOut":
        pass
    await video_mock.http.post("/admin/reset")
    assert (await submit(video_mock, picture_url)).status_code == 202


async def test_a_pack_that_has_expired_takes_no_task(video_mock: Service) -> None:
    await configure(video_mock, pack={"days": -1})
    pack = await _pack(video_mock)
    assert pack["status"] == "expired"
    assert pack["invalid_time"] < time.time() * 1000
    assert (await create(video_mock)).json()["code"] == 1102


async def test_without_a_pack_there_is_no_list(video_mock: Service) -> None:
    await configure(video_mock, pack={"units": None})
    reply = await _costs(video_mock)
    assert (reply.status_code, reply.json()["data"]) == (200, {"code": 0, "msg": "success"})
    assert (await create(video_mock)).json()["code"] == 1102
