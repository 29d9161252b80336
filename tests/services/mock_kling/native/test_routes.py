"""The vendor's own wire against its documented shapes, over real HTTP."""

import pytest

from services.mock_kling.orders import CODES
from tests.services.mock_core.serving import Receiver, Service
from tests.services.mock_kling.native.client import KEY, SHAPES, TASKS, create, ended, query, shape


async def test_create_and_query_have_the_documented_shape(video_mock: Service) -> None:
    created = await create(video_mock)
    assert created.status_code == 200
    assert shape(created.json()) == shape(SHAPES["create"])
    assert created.json()["data"]["task_status"] == "submitted"
    done = await ended(video_mock)
    assert shape(done) == shape(SHAPES["query"])
    assert done["data"]["task_status"] == "succeed"
    url = done["data"]["task_result"]["videos"][0]["url"]
    assert (await video_mock.http.get(url)).headers["content-type"] == "video/mp4"


async def test_a_task_is_found_by_either_id(video_mock: Service) -> None:
    task_id = (await create(video_mock)).json()["data"]["task_id"]
    for any_id in (task_id, "job-1.video.1"):
        assert (await query(video_mock, any_id))["data"]["task_id"] == task_id


async def test_the_callback_has_the_documented_shape(
    video_mock: Service, receiver: Receiver
) -> None:
    await create(video_mock, callback_url=receiver.url, mode="pro", duration="10")
    await video_mock.quiet()
    assert receiver.words == ["processing", "succeed"]
    assert shape(receiver.bodies[-1]) == shape(SHAPES["callback"])
    assert receiver.bodies[-1]["final_unit_deduction"] == "7"
    assert receiver.bodies[-1]["task_result"]["videos"][0]["duration"] == "10"


async def test_a_failed_task_is_told_with_200_and_code_0(video_mock: Service) -> None:
    await create(video_mock, image="http://127.0.0.1:9/none.png")
    body = await ended(video_mock)
    assert (body["code"], body["data"]["task_status"]) == (0, "failed")
    assert "image download failed" in body["data"]["task_status_msg"]
    assert body["data"]["final_unit_deduction"] == "0"


async def test_tasks_are_listed_newest_first_by_pages(video_mock: Service) -> None:
    ids = [
        (await create(video_mock, external_task_id=f"j-{n}.1")).json()["data"]["task_id"]
        for n in range(3)
    ]
    query = {"pageNum": 1, "pageSize": 2}
    first = await video_mock.http.get(TASKS, params=query, headers=KEY)
    second = await video_mock.http.get(TASKS, params={**query, "pageNum": 2}, headers=KEY)
    assert [task["task_id"] for task in first.json()["data"]] == [ids[2], ids[1]]
    assert [task["task_id"] for task in second.json()["data"]] == [ids[0]]


async def test_a_body_that_is_no_json_is_1200(video_mock: Service) -> None:
    reply = await video_mock.http.post(TASKS, content=b"{", headers=KEY)
    assert (reply.status_code, reply.json()["code"]) == (400, 1200)


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [("GET", f"{TASKS}/nobody", 1203), ("DELETE", TASKS, 1202), ("GET", "/v1/none", 1203)],
)
async def test_what_is_not_there(video_mock: Service, method: str, path: str, code: int) -> None:
    reply = await video_mock.http.request(method, path, headers=KEY)
    assert (reply.status_code, reply.json()["code"]) == (404, code)


@pytest.mark.parametrize("code", sorted(CODES))
async def test_every_code_of_the_table_has_the_documented_shape(
    video_mock: Service, code: int
) -> None:
    await video_mock.arm({"where": "submit", "do": "refuse", "with": {"code": code}})
    reply = await create(video_mock)
    assert (reply.status_code, reply.json()["code"]) == (CODES[code][0], code)
    assert shape(reply.json()) == shape(SHAPES["error"])


async def test_both_wires_share_one_state(video_mock: Service) -> None:
    await create(video_mock)
    await video_mock.quiet()
    assert (await video_mock.json("/video/status/job-1.video.1"))["status"] == "succeed"
    assert (await video_mock.row("job-1.video.1"))["charged"]
