"""Whom the vendor turns away: too fast, no place left, a callback that it can't reach."""

import pytest

from tests.services.mock_core.serving import HURRY, Service
from tests.services.mock_kling.native.client import KEY, SHAPES, TASKS, configure, create, shape

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
    assert reply.json()["message"] == "the callback_url's host is none of MOCK_CALLBACK_HOSTS"
