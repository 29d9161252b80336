"""How a task is found by the caller's own id: at once, later, or never; and the id used twice."""

import httpx

from tests.services.mock_core.serving import HURRY, Service
from tests.services.mock_kling.native.client import KEY, TASKS, configure, create, query

OURS = "job-1.video.1"
SLOW = 0.001


async def _ask(service: Service, any_id: str) -> httpx.Response:
    return await service.http.get(f"{TASKS}/{any_id}", headers=KEY)


async def _create(service: Service) -> str:
    return str((await create(service)).json()["data"]["task_id"])


async def test_our_id_finds_nothing_where_that_is_off(video_mock: Service) -> None:
    await configure(video_mock, look_up={"by_external_id": False})
    task_id = await _create(video_mock)
    unknown = await _ask(video_mock, OURS)
    assert (unknown.status_code, unknown.json()["code"]) == (404, 1203)
    assert (await query(video_mock, task_id))["data"]["task_id"] == task_id


async def test_our_id_finds_a_task_only_some_time_after_its_acceptance(
    video_mock: Service,
) -> None:
    await configure(video_mock, speed=SLOW, look_up={"lag": 60})
    task_id = await _create(video_mock)
    assert (await _ask(video_mock, OURS)).status_code == 404
    assert (await _ask(video_mock, task_id)).status_code == 200
    assert (await create(video_mock)).json()["code"] == 1201
    await configure(video_mock, speed=HURRY)
    while (reply := await _ask(video_mock, OURS)).status_code == 404:
        pass
    assert reply.json()["data"]["task_id"] == task_id


async def test_a_duplicate_id_is_1201(video_mock: Service) -> None:
    await create(video_mock)
    again = await create(video_mock)
    assert (again.status_code, again.json()["code"]) == (400, 1201)


async def test_a_duplicate_id_is_answered_with_the_first_task(video_mock: Service) -> None:
    await configure(video_mock, duplicates="first")
    assert await _create(video_mock) == await _create(video_mock)
    assert (await video_mock.json("/admin/stats"))["accepted"] == 1


async def test_a_duplicate_id_is_a_second_task_which_the_id_finds(video_mock: Service) -> None:
    await configure(video_mock, duplicates="accept")
    first, second = await _create(video_mock), await _create(video_mock)
    assert first != second
    assert (await query(video_mock, OURS))["data"]["task_id"] == second
    assert (await video_mock.json("/admin/stats"))["duplicates"] == 1
