"""The native wire beyond what was captured; its traps have the numbers of the vendor's page."""

import io
import json
import uuid

import pytest
from PIL import Image
from websockets.exceptions import ConnectionClosed

from tests.services.mock_comfyui.client import (
    entry_of,
    history_of,
    listening,
    queue,
    sampler_graph,
    simple_graph,
)
from tests.services.mock_core.serving import Service, comfyui, running


async def test_picture_has_the_graphs_size_and_carries_the_graph(image_mock: Service) -> None:
    graph = sampler_graph()
    graph["9"]["inputs"]["filename_prefix"] = "cats/nap"
    workflow = {"id": "w", "title": "雪"}
    extra = {"extra_pnginfo": {"workflow": workflow}}
    (image,) = (await entry_of(image_mock, graph, extra_data=extra))["outputs"]["9"]["images"]
    assert image == {"filename": "nap_00001_.png", "subfolder": "cats", "type": "output"}
    reply = await image_mock.http.get("/api/view", params=image)
    picture = Image.open(io.BytesIO(reply.content))
    assert picture.size == (512, 256)
    assert json.loads(picture.info["prompt"]) == graph
    assert picture.info["workflow"] == json.dumps(workflow)


async def test_rules_match_the_text_of_a_graph(image_mock: Service) -> None:
    await image_mock.arm({"where": "start", "do": "fail", "match": {"prompt": "*猫*"}})
    bad = await queue(image_mock, sampler_graph("一只猫"))
    good = await queue(image_mock, sampler_graph("a dog"))
    words = [
        (await history_of(image_mock, it["prompt_id"]))["status"]["status_str"]
        for it in (bad, good)
    ]
    assert words == ["error", "success"]


@pytest.mark.parametrize(("told", "noted"), [("job-1.2", "job-1.2"), (5, "given"), (None, "given")])
async def test_extra_data_of_the_caller_is_kept(
    image_mock: Service, told: object, noted: str
) -> None:
    given = str(uuid.uuid4())
    extra = {} if told is None else {"external_id": told}
    await queue(image_mock, simple_graph(1), prompt_id=given, extra_data=extra)
    await history_of(image_mock, given)
    row = (await image_mock.json("/admin/ledger"))[-1]
    assert row["external_id"] == (given if noted == "given" else noted)
    assert row["attempt"] == (2 if noted == "job-1.2" else 1)


async def test_queue_shows_running_and_waiting_prompts() -> None:
    async with running(comfyui()) as service:
        await service.arm({"where": "start", "do": "stick"})
        runs = await queue(service, simple_graph(1))
        waits = await queue(service, simple_graph(2))
        body = await service.until("/queue", lambda it: it["queue_running"])
        assert [row[1] for row in body["queue_running"]] == [runs["prompt_id"]]
        assert [row[1] for row in body["queue_pending"]] == [waits["prompt_id"]]
        assert (await service.json("/prompt")) == {"exec_info": {"queue_remaining": 2}}
        await service.post("/queue", {"clear": True})
        assert (await service.json("/queue"))["queue_pending"] == []


async def test_pages_of_the_history(image_mock: Service) -> None:
    ids = [(await queue(image_mock, simple_graph(color)))["prompt_id"] for color in range(5)]
    await history_of(image_mock, ids[-1])
    for query, expected in (
        ("", [0, 1, 2, 3, 4]),
        ("?max_items=2", [3, 4]),
        ("?max_items=0", []),
        ("?max_items=-1", []),
        ("?offset=1", [1, 2, 3, 4]),
        ("?offset=1&max_items=2", [1, 2]),
        ("?offset=-1&max_items=1", [4]),
    ):
        found = [ids.index(key) for key in await image_mock.json(f"/history{query}")]
        assert (query, found) == (query, expected)
    for query in ("?max_items=abc", "?max_items=", "?offset=abc"):
        assert (await image_mock.http.get(f"/history{query}")).status_code == 500


async def test_wrong_list_is_a_server_error(image_mock: Service) -> None:
    assert (await image_mock.post("/queue", {"delete": None})).status_code == 500
    assert (await image_mock.http.post("/queue")).status_code == 500
    assert (await image_mock.post("/queue", {"delete": ["nope", 5]})).status_code == 200


async def test_faults_apply_to_the_native_routes(image_mock: Service) -> None:
    await image_mock.arm(
        {"where": "submit", "do": "refuse", "with": {"status": 503}, "often": {"first": 1}},
        {"where": "progress", "do": "no-url"},
        {"where": "poll", "do": "forget", "often": {"first": 1}},
    )
    body = {"prompt": simple_graph(), "prompt_id": "6f0a7f0e-0000-4000-8000-000000000001"}
    assert (await image_mock.post("/prompt", body)).status_code == 503
    answer = (await image_mock.post("/prompt", body)).json()
    assert (await image_mock.http.get(f"/api/jobs/{answer['prompt_id']}")).status_code == 404
    entry = await history_of(image_mock, answer["prompt_id"])
    assert entry["outputs"] == {}


async def test_reset_clears_queue_history_and_cache(image_mock: Service) -> None:
    await entry_of(image_mock, simple_graph())
    await image_mock.post("/admin/reset", None)
    assert await image_mock.json("/history") == {}
    entry = await entry_of(image_mock, simple_graph())
    assert entry["status"]["messages"][1][1]["nodes"] == []


async def test_restart_cuts_the_sockets_and_clears_the_cache(
    image_mock: Service,
) -> None:
    await entry_of(image_mock, simple_graph())
    async with listening(image_mock) as socket:
        await image_mock.post("/admin/restart", None)
        with pytest.raises(ConnectionClosed):
            await socket.until("never")
    messages = (await entry_of(image_mock, simple_graph()))["status"]["messages"]
    assert messages[1][1]["nodes"] == []


async def test_success_is_sent_before_the_history_is_written(image_mock: Service) -> None:
    # Long enough to look.
    image_mock.app.state.queue.history_lag = 60
    async with listening(image_mock) as socket:
        answer = await queue(image_mock, simple_graph(), client_id="me")
        await socket.until("execution_success")
    assert await image_mock.json(f"/history/{answer['prompt_id']}") == {}
    assert (await image_mock.json(f"/api/jobs/{answer['prompt_id']}"))["status"] == "in_progress"


async def test_end_missed_while_disconnected_is_never_sent_again(image_mock: Service) -> None:
    await image_mock.configure(speed=2)
    async with listening(image_mock) as socket:
        answer = await queue(image_mock, simple_graph(), client_id="me")
        await socket.until("executing", node="1")
    async with listening(image_mock) as socket:
        assert (await socket.until("executing"))["data"] == {"node": "1"}
    await image_mock.configure(speed=1_000_000)
    await history_of(image_mock, answer["prompt_id"])
    async with listening(image_mock) as socket:
        await queue(image_mock, simple_graph(9), client_id="other")
        await socket.until("status", status={"exec_info": {"queue_remaining": 0}})
        assert {event["type"] for event in socket.frames} == {"status"}
