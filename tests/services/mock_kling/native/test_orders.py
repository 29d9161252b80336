"""What can be ordered of each model, what it costs, and what is refused."""

import base64
import io

import pytest
from PIL import Image

from tests.services.mock_core.serving import Json, Picture, Service, served
from tests.services.mock_kling.native.client import PICTURE, SHAPES, create, ended, shape


def _drawn(width: int, height: int, form: str) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (width, height), "navy").save(out, form)
    return out.getvalue()


def _encoded(picture: bytes) -> str:
    return base64.b64encode(picture).decode()


def _picture(width: int, height: int, form: str = "PNG") -> str:
    return _encoded(_drawn(width, height, form))


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"image": None}, 400, 1201),
        ({"image": f"data:image/png;base64,{PICTURE}"}, 400, 1201),
        ({"image": "%%%"}, 400, 1201),
        ({"image": base64.b64encode(b"no picture").decode()}, 400, 1201),
        ({"image": _picture(299, 400)}, 400, 1201),
        ({"image": _picture(300, 751)}, 400, 1201),
        ({"image": _picture(751, 300)}, 400, 1201),
        ({"image": _picture(400, 400, "WEBP")}, 400, 1201),
        ({"image": _encoded(_drawn(400, 400, "PNG") + bytes(10_000_000))}, 400, 1201),
        ({"model_name": "kling-v2-1", "mode": "pro", "image_tail": "%%%"}, 400, 1201),
        ({"prompt": "x" * 2501}, 400, 1201),
        ({"duration": 5}, 400, 1201),
        ({"duration": "7"}, 400, 1201),
        ({"mode": "fast"}, 400, 1201),
        ({"cfg_scale": 1.5}, 400, 1201),
        ({"model_name": "kling-v99"}, 404, 1203),
    ],
)
async def test_a_bad_parameter_is_refused(
    video_mock: Service, changes: Json, status: int, code: int
) -> None:
    reply = await create(video_mock, **changes)
    assert (reply.status_code, reply.json()["code"]) == (status, code)
    assert shape(reply.json()) == shape(SHAPES["error"])
    assert (await video_mock.json("/admin/stats"))["accepted"] == 0


@pytest.mark.parametrize(
    "image", [_picture(300, 750), _picture(750, 300), _picture(300, 300, "JPEG")]
)
async def test_a_picture_at_the_bounds_is_taken(video_mock: Service, image: str) -> None:
    assert (await create(video_mock, image=image)).status_code == 200


async def test_a_picture_from_an_address_is_looked_at_as_closely(video_mock: Service) -> None:
    async with served(Picture()) as base:
        await create(video_mock, image=f"{base}/low.png")
        body = await ended(video_mock)
    assert body["data"]["task_status_msg"] == "image sides must be 300 px or more"


@pytest.mark.parametrize(
    ("ordered", "units"),
    [
        ({}, "2"),
        ({"mode": "pro", "duration": "10"}, "7"),
        ({"model_name": "kling-v2-1-master", "duration": "10"}, "20"),
        ({"model_name": "kling-v2-5-turbo"}, "1.5"),
        ({"model_name": "kling-v2-6", "mode": "pro", "sound": "on"}, "5"),
        ({"model_name": "kling-v2-6", "mode": "pro", "image_tail": PICTURE}, "2.5"),
        ({"model_name": "kling-v3", "duration": "3"}, "1.8"),
        ({"model_name": "kling-v3", "duration": "15", "mode": "4k"}, "45"),
        ({"model_name": "kling-v3", "duration": "7", "mode": "pro", "sound": "on"}, "8.4"),
        ({"model_name": "kling-v3-omni", "duration": "5", "sound": "on"}, "4"),
    ],
)
async def test_what_was_ordered_is_what_is_deducted(
    video_mock: Service, ordered: Json, units: str
) -> None:
    await create(video_mock, **ordered)
    body = await ended(video_mock)
    assert body["data"]["task_status"] == "succeed"
    assert body["data"]["final_unit_deduction"] == units
    (video,) = body["data"]["task_result"]["videos"]
    assert video["duration"] == ordered.get("duration", "5")


@pytest.mark.parametrize(
    ("ordered", "says"),
    [
        ({"model_name": "kling-v2-6", "duration": "7"}, "duration 7"),
        ({"model_name": "kling-v2-6", "mode": "4k"}, "mode 4k"),
        ({"model_name": "kling-v2-6", "sound": "on"}, "sound"),
        ({"model_name": "kling-v2-5-turbo", "mode": "pro", "sound": "on"}, "sound"),
        ({"model_name": "kling-v2-1", "image_tail": PICTURE}, "a last frame"),
        ({"model_name": "kling-v3", "duration": "2"}, "duration"),
        ({"model_name": "kling-v3", "duration": "16"}, "duration"),
    ],
)
async def test_what_a_model_cannot_do_is_refused(
    video_mock: Service, ordered: Json, says: str
) -> None:
    reply = await create(video_mock, **ordered)
    assert (reply.status_code, reply.json()["code"]) == (400, 1201)
    assert reply.json()["message"].startswith(says)


async def test_what_is_empty_was_not_given(video_mock: Service) -> None:
    empty = {"external_task_id": "", "callback_url": "", "image_tail": ""}
    for _ in range(2):
        assert (await create(video_mock, **empty)).status_code == 200
