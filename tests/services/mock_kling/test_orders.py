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
    TASKS,
    configure,
    create,
    ended,
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


SLOW = 0.001


async def test_a_full_pool_holds_a_place_until_the_end_of_a_failed_task(
    video_mock: Service,
) -> None:
    await configure(video_mock, places=1)
    await create(video_mock, image="http://127.0.0.1:9/none.png")
    full = await create(video_mock, external_task_id="job-2.video.1")
    assert (full.status_code, full.json()["code"]) == (429, 1303)
    assert (await video_mock.http.get(TASKS, headers=KEY)).status_code == 200
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
    assert (await video_mock.http.get(TASKS, headers=KEY)).status_code == 200
    await configure(video_mock, speed=HURRY)
    while (await create(video_mock, external_task_id="j-2.1")).status_code == 429:
        pass
    assert (await video_mock.json("/admin/stats"))["accepted"] == 3


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:8001/callback",
        "http://localhost/callback",
        "http://[::1]:8001/callback",
        "http://10.1.2.3/callback",
        "http://169.254.169.254/callback",
        "http://callback:8001/callback",
        "https://host.internal./callback",
    ],
)
async def test_a_callback_that_is_not_public_is_refused_where_that_is_asked_for(
    video_mock: Service, url: str
) -> None:
    await configure(video_mock, public_callbacks=True)
    reply = await create(video_mock, callback_url=url)
    assert (reply.status_code, reply.json()["code"]) == (400, 1201)
    assert reply.json()["message"] == "callback_url is not a public address"
    assert shape(reply.json()) == shape(SHAPES["error"])


async def test_a_public_callback_is_none_of_the_hosts_that_may_be_called(
    video_mock: Service,
) -> None:
    await configure(video_mock, public_callbacks=True)
    reply = await create(video_mock, callback_url="https://hooks.example/callback")
    assert reply.json()["message"] == "the callback_url's host is not in MOCK_CALLBACK_HOSTS"


SLOW, FAST = 0.001, 1_000_000
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


@pytest.mark.parametrize(("name", "number"), [("Mock video pack", 1), ("another", 0)])
async def test_a_pack_is_asked_for_by_its_name(video_mock: Service, name: str, number: int) -> None:
    reply = await _costs(video_mock, resource_pack_name=name)
    assert len(reply.json()["data"][LIST]) == number
