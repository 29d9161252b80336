"""The resource pack: what is left of it, until when, and what happens then."""

import time

import httpx
import pytest

from tests.services.mock_core.serving import Json, Service
from tests.services.mock_kling.calls import submit
from tests.services.mock_kling.native.client import KEY, SHAPES, configure, create, ended, shape

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
