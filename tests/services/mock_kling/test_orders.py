"""What may be ordered, what it costs, and when the vendor takes no task."""

import base64
import io
import time

from PIL import Image

from tests.services.mock_core.serving import Json, Service, served, small_picture
from tests.services.mock_kling.client import (
    KEY,
    PICTURE,
    SHAPES,
    create,
    ended,
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


async def test_costs_list_what_was_spent(video_mock: Service) -> None:
    await create(video_mock, model_name="kling-v3", duration="10")
    await ended(video_mock)
    params = {"start_time": "0", "end_time": "1"}
    reply = await video_mock.http.get("/account/costs", params=params, headers=KEY)
    assert shape(reply.json()) == shape(SHAPES["costs"])
    (pack,) = reply.json()["data"]["resource_pack_subscribe_infos"]
    assert pack["total_quantity"] - pack["remaining_quantity"] == 4
    assert pack["invalid_time"] > time.time() * 1000
