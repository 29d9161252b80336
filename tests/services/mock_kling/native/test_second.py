"""The second generation of the vendor's wire: a model in the path, contents, queries by ids."""

import httpx
import pytest

from tests.services.mock_core.serving import HURRY, Json, Receiver, Service
from tests.services.mock_kling.native.client import (
    KEY,
    PICTURE,
    SHAPES,
    configure,
    create,
    query,
    shape,
)

OURS = "job-1.video.1"
FIRST = {"type": "first_frame", "url": PICTURE}
LAST = {"type": "last_frame", "url": PICTURE}
PROMPT = {"type": "prompt", "text": "跑"}


async def _create(service: Service, *, model: str = "kling-3.0", **body: object) -> httpx.Response:
    wanted = {"contents": [PROMPT, FIRST], "options": {"external_task_id": OURS}, **body}
    return await service.post(f"/image-to-video/{model}", wanted, **KEY)


async def _ask(service: Service, **ids: str) -> httpx.Response:
    return await service.http.get("/tasks", params=ids, headers=KEY)


async def _tasks(service: Service, **ids: str) -> list[Json]:
    reply = await _ask(service, **ids)
    assert (reply.status_code, reply.json()["code"]) == (200, 0), reply.text
    return list(reply.json()["data"])


async def test_create_and_query_have_the_documented_shape(video_mock: Service) -> None:
    created = await _create(video_mock)
    assert shape(created.json()) == shape(SHAPES["create_in_second"])
    assert created.json()["data"]["status"] == "submitted"
    await video_mock.quiet()
    for ids in ({"external_task_ids": OURS}, {"task_ids": created.json()["data"]["id"]}):
        (task,) = await _tasks(video_mock, **ids)
        assert shape(task) == shape(SHAPES["task_in_second"])
        assert (task["status"], task["external_id"]) == ("succeeded", OURS)
    url = task["outputs"][0]["url"]
    assert (await video_mock.http.get(url)).headers["content-type"] == "video/mp4"


@pytest.mark.parametrize(
    ("model", "settings", "units"),
    [
        ("kling-3.0", {}, "3"),
        ("kling-3.0", {"resolution": "4k", "duration": 10}, "30"),
        ("kling-3.0", {"resolution": "1080p", "duration": 15, "audio": "native"}, "18"),
        ("kling-3.0-turbo", {"resolution": "1080p", "duration": 3}, "3"),
        ("kling-2.6", {"resolution": "1080p", "duration": 10, "audio": "native"}, "10"),
    ],
)
async def test_what_was_ordered_is_what_is_billed(
    video_mock: Service, model: str, settings: Json, units: str
) -> None:
    assert (await _create(video_mock, model=model, settings=settings)).status_code == 200
    await video_mock.quiet()
    (task,) = await _tasks(video_mock, external_task_ids=OURS)
    assert task["billing"] == [{"charge_type": "unit", "amount": units, "package_type": "video"}]
    assert task["outputs"][0]["duration"] == str(settings.get("duration", 5))


async def test_a_failed_task_says_why_and_bills_nothing(video_mock: Service) -> None:
    nowhere = {"type": "first_frame", "url": "http://127.0.0.1:9/none.png"}
    await _create(video_mock, contents=[nowhere])
    await video_mock.quiet()
    (task,) = await _tasks(video_mock, external_task_ids=OURS)
    assert (task["status"], task["outputs"], task["billing"]) == ("failed", [], [])
    assert "image download failed" in task["message"]


async def test_an_id_that_nobody_knows_is_an_empty_list(video_mock: Service) -> None:
    task_id = (await _create(video_mock)).json()["data"]["id"]
    for ids in ({"external_task_ids": "nobody"}, {"task_ids": OURS}):
        assert await _tasks(video_mock, **ids) == []
    found = await _tasks(video_mock, external_task_ids=f"nobody,{OURS}")
    assert [task["id"] for task in found] == [task_id]


async def test_several_are_told_in_the_order_that_they_are_asked_for(video_mock: Service) -> None:
    for name in ("a.1", "b.1"):
        await _create(video_mock, options={"external_task_id": name})
    found = await _tasks(video_mock, external_task_ids="b.1,nobody,a.1")
    assert [task["external_id"] for task in found] == ["b.1", "a.1"]


@pytest.mark.parametrize("ids", [{}, {"task_ids": "1", "external_task_ids": "2"}])
async def test_one_kind_of_ids_has_to_be_asked_for(video_mock: Service, ids: Json) -> None:
    reply = await _ask(video_mock, **ids)
    assert (reply.status_code, reply.json()["code"]) == (400, 1201)
    assert reply.json()["message"] == "task_ids or external_task_ids is required"


async def test_a_look_up_that_lags_or_is_off_is_an_empty_list(video_mock: Service) -> None:
    await configure(video_mock, speed=0.001, look_up={"lag": 60})
    await _create(video_mock)
    assert await _tasks(video_mock, external_task_ids=OURS) == []
    await configure(video_mock, speed=HURRY)
    while not await _tasks(video_mock, external_task_ids=OURS):
        pass
    await configure(video_mock, look_up={"by_external_id": False})
    assert await _tasks(video_mock, external_task_ids=OURS) == []


async def test_a_forgotten_task_is_an_empty_list_and_other_faults_meet_it_too(
    video_mock: Service,
) -> None:
    await _create(video_mock)
    await video_mock.arm({"where": "poll", "do": "forget"})
    assert await _tasks(video_mock, external_task_ids=OURS) == []
    await video_mock.arm({"where": "poll", "do": "refuse", "with": {"code": 5001}})
    reply = await _ask(video_mock, external_task_ids=OURS)
    assert (reply.status_code, reply.json()["code"]) == (503, 5001)


@pytest.mark.parametrize(
    ("model", "body", "status", "code"),
    [
        ("kling-9.9", {}, 404, 1203),
        ("kling-v3", {}, 404, 1203),
        ("kling-3.0", {"contents": []}, 400, 1201),
        ("kling-3.0", {"contents": [PROMPT]}, 400, 1201),
        ("kling-3.0", {"contents": [LAST]}, 400, 1201),
        ("kling-3.0", {"contents": [FIRST, FIRST]}, 400, 1201),
        ("kling-3.0", {"contents": [FIRST, {"type": "last_frame", "url": "%"}]}, 400, 1201),
        ("kling-3.0", {"contents": [{"type": "first_frame", "url": "data:,x"}]}, 400, 1201),
        ("kling-3.0", {"contents": [{"type": "song"}]}, 400, 1201),
        ("kling-3.0", {"settings": {"duration": 2}}, 400, 1201),
        ("kling-3.0", {"settings": {"duration": 16}}, 400, 1201),
        ("kling-3.0", {"settings": {"resolution": "480p"}}, 400, 1201),
        ("kling-3.0", {"settings": {"audio": "on"}}, 400, 1201),
        ("kling-3.0-turbo", {"settings": {"resolution": "4k"}}, 400, 1201),
        ("kling-3.0-turbo", {"settings": {"audio": "native"}}, 400, 1201),
        ("kling-3.0-turbo", {"contents": [FIRST, LAST]}, 400, 1201),
        ("kling-2.6", {"settings": {"duration": 7}}, 400, 1201),
        ("kling-2.6", {"contents": [FIRST, LAST]}, 400, 1201),
    ],
)
async def test_a_bad_order_is_refused(
    video_mock: Service, model: str, body: Json, status: int, code: int
) -> None:
    reply = await _create(video_mock, model=model, **body)
    assert (reply.status_code, reply.json()["code"]) == (status, code)
    assert shape(reply.json()) == shape(SHAPES["error"])
    assert (await video_mock.json("/admin/stats"))["accepted"] == 0


async def test_who_has_no_key_is_refused(video_mock: Service) -> None:
    for reply in (
        await video_mock.http.get("/tasks", params={"task_ids": "1"}),
        await video_mock.post("/image-to-video/kling-3.0", {}),
    ):
        assert (reply.status_code, reply.json()["code"]) == (401, 1001)


async def test_callbacks_have_the_form_of_the_generation_that_was_spoken(
    video_mock: Service, receiver: Receiver
) -> None:
    await _create(video_mock, options={"external_task_id": OURS, "callback_url": receiver.url})
    await video_mock.quiet()
    assert [body["status"] for body in receiver.bodies] == ["processing", "succeeded"]
    assert shape(receiver.bodies[-1]) == shape(SHAPES["task_in_second"])
    assert receiver.bodies[0]["outputs"] == []
    await create(video_mock, external_task_id="job-2.video.1", callback_url=receiver.url)
    await video_mock.quiet()
    assert shape(receiver.bodies[-1]) == shape(SHAPES["callback"])


async def test_faults_meet_callbacks_of_this_form_too(
    video_mock: Service, receiver: Receiver
) -> None:
    await video_mock.arm(
        {"where": "callback", "do": "contradict", "match": {"status": "succeed"}},
        {"where": "callback", "do": "oversize", "match": {"status": "processing"}},
    )
    await _create(video_mock, options={"callback_url": receiver.url})
    await video_mock.quiet()
    assert len(receiver.raw[0]) > 300_000
    assert receiver.bodies[1]["status"] == "failed"


async def test_both_generations_and_the_plain_wire_share_one_state(video_mock: Service) -> None:
    task_id = (await _create(video_mock)).json()["data"]["id"]
    again = await create(video_mock)
    assert again.json()["code"] == 1201
    await video_mock.quiet()
    assert (await query(video_mock, OURS))["data"]["task_id"] == task_id
    assert (await video_mock.json(f"/video/status/{OURS}"))["job_id"] == task_id
    assert (await video_mock.json("/admin/stats"))["charged"] == 1
