"""What may be ordered, what it costs, and when the vendor takes no task."""

import base64
import io
import time

import httpx
from PIL import Image

from tests.services.mock_core.serving import Json, Service, served, small_picture
from tests.services.mock_kling.client import (
    KEY,
    PICTURE,
    SHAPES,
    create,
    ended,
    query,
    shape,
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


SLOW = 0.001


async def test_failed_task_keeps_its_place_in_a_full_pool(
    video_mock: Service,
) -> None:
    await video_mock.configure(places=1)
    await create(video_mock, image="http://127.0.0.1:9/none.png")
    full = await create(video_mock, external_task_id="job-2.video.1")
    assert (full.status_code, full.json()["code"]) == (429, 1303)
    assert (await query(video_mock, "job-1.video.1"))["code"] == 0
    await video_mock.quiet()
    assert (await create(video_mock, external_task_id="job-2.video.1")).status_code == 200


async def test_private_callback_is_refused_if_configured(
    video_mock: Service,
) -> None:
    await video_mock.configure(public_callbacks=True)
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


async def _costs(service: Service) -> httpx.Response:
    params = {"start_time": "0", "end_time": "1"}
    return await service.http.get("/account/costs", params=params, headers=KEY)


async def _pack(service: Service) -> Json:
    """As soon as it may be asked for."""
    while (reply := await _costs(service)).status_code == 429:
        pass
    assert reply.status_code == 200, reply.text
    (pack,) = reply.json()["data"][LIST]
    return dict(pack)


async def test_costs_may_be_asked_for_once_a_second(video_mock: Service) -> None:
    await video_mock.configure(speed=SLOW)
    first, second = await _costs(video_mock), await _costs(video_mock)
    assert first.status_code == 200
    assert shape(first.json()) == shape(SHAPES["costs"])
    assert (second.status_code, second.json()["code"]) == (429, 1302)
    await video_mock.configure(speed=FAST)
    assert (await _pack(video_mock))["invalid_time"] > time.time() * 1000


async def test_spent_units_are_listed_half_a_day_later(video_mock: Service) -> None:
    await create(video_mock, model_name="kling-v3", duration="10")
    await ended(video_mock)
    before = await _pack(video_mock)
    assert before["remaining_quantity"] == before["total_quantity"]
    await video_mock.configure(speed=FAST)
    while (pack := await _pack(video_mock))["remaining_quantity"] == before["remaining_quantity"]:
        pass
    assert before["remaining_quantity"] - pack["remaining_quantity"] == 4
