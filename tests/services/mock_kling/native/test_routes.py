"""The vendor's own wire against its documented shapes, over real HTTP."""

import base64
import json
import time
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest

from services.mock_comfyui.pictures.drawing import draw_picture
from services.mock_kling.config import DEFAULT_SECRET_KEY
from services.mock_kling.errors import CODES
from tests.services.mock_core.serving import Json, Receiver, Service

SHAPES = json.loads((Path(__file__).parent / "documented" / "shapes.json").read_text())
TASKS = "/v1/videos/image2video"
PICTURE = base64.b64encode(draw_picture("猫", "", "", size=(400, 300))).decode()


def _token(key: str = "mock-access-key", secret: str = DEFAULT_SECRET_KEY, **claims: Any) -> str:
    now = int(time.time())
    told = {"iss": key, "exp": now + 1800, "nbf": now - 5, **claims}
    return jwt.encode(told, secret, algorithm="HS256")


def _auth(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def create(service: Service, **changes: object) -> httpx.Response:
    body = {"image": PICTURE, "prompt": "跑", "external_task_id": "job-1.video.1", **changes}
    return await service.post(TASKS, body, **_auth(_token()))


async def _query(service: Service, any_id: str) -> Json:
    reply = await service.http.get(f"{TASKS}/{any_id}", headers=_auth(_token()))
    assert reply.status_code == 200, reply.text
    return dict(reply.json())


async def _ended(service: Service, any_id: str = "job-1.video.1") -> Json:
    await service.quiet()
    return await _query(service, any_id)


def _shape(value: object) -> object:
    """Names and types, all the way down."""
    if isinstance(value, dict):
        return {name: _shape(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_shape(value[0])] if value else []
    return type(value).__name__


async def test_create_and_query_have_the_documented_shape(video_mock: Service) -> None:
    created = await create(video_mock)
    assert created.status_code == 200
    assert _shape(created.json()) == _shape(SHAPES["create"])
    assert created.json()["data"]["task_status"] == "submitted"
    ended = await _ended(video_mock)
    assert _shape(ended) == _shape(SHAPES["query"])
    assert ended["data"]["task_status"] == "succeed"
    url = ended["data"]["task_result"]["videos"][0]["url"]
    assert (await video_mock.http.get(url)).headers["content-type"] == "video/mp4"


async def test_a_task_is_found_by_either_id(video_mock: Service) -> None:
    task_id = (await create(video_mock)).json()["data"]["task_id"]
    for any_id in (task_id, "job-1.video.1"):
        assert (await _query(video_mock, any_id))["data"]["task_id"] == task_id


async def test_the_callback_has_the_documented_shape(
    video_mock: Service, receiver: Receiver
) -> None:
    await create(video_mock, callback_url=receiver.url, mode="pro", duration="10")
    await video_mock.quiet()
    assert receiver.words == ["processing", "succeed"]
    assert _shape(receiver.bodies[-1]) == _shape(SHAPES["callback"])
    assert receiver.bodies[-1]["final_unit_deduction"] == "7"
    assert receiver.bodies[-1]["task_result"]["videos"][0]["duration"] == "10"


async def test_a_failed_task_is_told_with_200_and_code_0(video_mock: Service) -> None:
    await create(video_mock, image="http://127.0.0.1:9/none.png")
    body = await _ended(video_mock)
    assert (body["code"], body["data"]["task_status"]) == (0, "failed")
    assert "image download failed" in body["data"]["task_status_msg"]
    assert body["data"]["final_unit_deduction"] == "0"


async def test_tasks_are_listed_newest_first_by_pages(video_mock: Service) -> None:
    ids = [
        (await create(video_mock, external_task_id=f"j-{n}.1")).json()["data"]["task_id"]
        for n in range(3)
    ]
    query = {"pageNum": 1, "pageSize": 2}
    first = await video_mock.http.get(TASKS, params=query, headers=_auth(_token()))
    second = await video_mock.http.get(
        TASKS, params={**query, "pageNum": 2}, headers=_auth(_token())
    )
    assert [task["task_id"] for task in first.json()["data"]] == [ids[2], ids[1]]
    assert [task["task_id"] for task in second.json()["data"]] == [ids[0]]


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, 1001),
        ({"Authorization": "Basic eA=="}, 1002),
        (_auth("nonsense"), 1002),
        (_auth(_token(secret="another-secret-of-thirty-two-characters")), 1000),
        (_auth(_token("another-key")), 1000),
        (_auth(_token(exp="soon")), 1002),
        (_auth(_token(nbf=time.time() + 86_400)), 1003),
        (_auth(_token(exp=time.time() - 1)), 1004),
    ],
)
async def test_what_is_wrong_with_the_token(
    video_mock: Service, headers: dict[str, str], code: int
) -> None:
    reply = await video_mock.http.get(TASKS, headers=headers)
    assert (reply.status_code, reply.json()["code"]) == (401, code)
    assert _shape(reply.json()) == _shape(SHAPES["error"])


async def test_a_tokens_window_runs_by_the_vendors_clock(video_mock: Service) -> None:
    headers = _auth(_token())
    assert (await video_mock.http.get(TASKS, headers=headers)).status_code == 200
    await video_mock.http.put("/admin/config", json={"speed": 1_000_000})
    while (reply := await video_mock.http.get(TASKS, headers=headers)).status_code == 200:
        pass
    assert reply.json()["code"] == 1004
    assert (await video_mock.http.get(TASKS, headers=_auth(_token(jti="2")))).status_code == 200


@pytest.mark.parametrize(("skew", "code"), [(3600, 1004), (-3600, 1003)])
async def test_a_clock_that_is_off_refuses_good_tokens(
    video_mock: Service, skew: int, code: int
) -> None:
    await video_mock.http.put("/admin/config", json={"clock_skew": skew})
    reply = await video_mock.http.get(TASKS, headers=_auth(_token()))
    assert (reply.status_code, reply.json()["code"]) == (401, code)


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"image": None}, 400, 1201),
        ({"image": f"data:image/png;base64,{PICTURE}"}, 400, 1201),
        ({"image": "%%%"}, 400, 1201),
        ({"image": base64.b64encode(b"no picture").decode()}, 400, 1201),
        (
            {"image": base64.b64encode(draw_picture("", "", "", size=(299, 400))).decode()},
            400,
            1201,
        ),
        (
            {"image": base64.b64encode(draw_picture("", "", "", size=(800, 300))).decode()},
            400,
            1201,
        ),
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
    assert _shape(reply.json()) == _shape(SHAPES["error"])
    assert (await video_mock.json("/admin/stats"))["accepted"] == 0


async def test_a_body_that_is_no_json_is_1200(video_mock: Service) -> None:
    reply = await video_mock.http.post(TASKS, content=b"{", headers=_auth(_token()))
    assert (reply.status_code, reply.json()["code"]) == (400, 1200)


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [("GET", f"{TASKS}/nobody", 1203), ("DELETE", TASKS, 1202), ("GET", "/v1/none", 1203)],
)
async def test_what_is_not_there(video_mock: Service, method: str, path: str, code: int) -> None:
    reply = await video_mock.http.request(method, path, headers=_auth(_token()))
    assert (reply.status_code, reply.json()["code"]) == (404, code)


@pytest.mark.parametrize("code", sorted(CODES))
async def test_every_code_of_the_table_has_the_documented_shape(
    video_mock: Service, code: int
) -> None:
    await video_mock.arm({"where": "submit", "do": "refuse", "with": {"code": code}})
    reply = await create(video_mock)
    assert (reply.status_code, reply.json()["code"]) == (CODES[code][0], code)
    assert _shape(reply.json()) == _shape(SHAPES["error"])


async def test_a_full_pool_holds_a_place_until_the_end_of_a_failed_task(
    video_mock: Service,
) -> None:
    await video_mock.http.put("/admin/config", json={"places": 1})
    await create(video_mock, image="http://127.0.0.1:9/none.png")
    full = await create(video_mock, external_task_id="job-2.video.1")
    assert (full.status_code, full.json()["code"]) == (429, 1303)
    assert (await video_mock.http.get(TASKS, headers=_auth(_token()))).status_code == 200
    await video_mock.quiet()
    assert (await create(video_mock, external_task_id="job-2.video.1")).status_code == 200


async def test_a_duplicate_id_is_1201(video_mock: Service) -> None:
    await create(video_mock)
    again = await create(video_mock)
    assert (again.status_code, again.json()["code"]) == (400, 1201)


async def test_the_balance_may_be_asked_once_a_second(video_mock: Service) -> None:
    await video_mock.http.put("/admin/config", json={"speed": 0.001})
    query = {"start_time": 0, "end_time": 1}
    replies = [
        await video_mock.http.get("/account/costs", params=query, headers=_auth(_token()))
        for _ in range(2)
    ]
    assert [reply.status_code for reply in replies] == [200, 429]
    (pack,) = replies[0].json()["data"]["resource_pack_subscribe_infos"]
    assert pack["remaining_quantity"] == pack["total_quantity"]
    assert replies[1].json()["code"] == 1302


async def test_both_wires_share_one_state(video_mock: Service) -> None:
    await create(video_mock)
    await video_mock.quiet()
    assert (await video_mock.json("/video/status/job-1.video.1"))["status"] == "succeed"
    assert (await video_mock.row("job-1.video.1"))["charged"]
