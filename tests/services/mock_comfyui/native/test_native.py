"""The native wire beyond what was captured: queue, files, sampler steps, the other prefix."""

import io
import json
import uuid

import pytest
from PIL import Image

from tests.services.mock_comfyui.native.client import (
    history_of,
    queue,
    sampler_graph,
    simple_graph,
)
from tests.services.mock_core.serving import Service, comfyui, running


async def test_a_picture_of_the_graphs_size_carries_the_graph(image_mock: Service) -> None:
    graph = sampler_graph()
    graph["9"]["inputs"]["filename_prefix"] = "cats/nap"
    workflow = {"id": "w", "title": "雪"}
    extra = {"extra_pnginfo": {"workflow": workflow}}
    answer = await queue(image_mock, graph, extra_data=extra)
    (image,) = (await history_of(image_mock, answer["prompt_id"]))["outputs"]["9"]["images"]
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
async def test_what_the_caller_calls_it_may_come_along(
    image_mock: Service, told: object, noted: str
) -> None:
    given = str(uuid.uuid4())
    extra = {} if told is None else {"external_id": told}
    await queue(image_mock, simple_graph(1), prompt_id=given, extra_data=extra)
    await history_of(image_mock, given)
    row = (await image_mock.json("/admin/ledger"))[-1]
    assert row["external_id"] == (given if noted == "given" else noted)
    assert row["attempt"] == (2 if noted == "job-1.2" else 1)


async def test_the_queue_shows_what_runs_and_what_waits() -> None:
    async with running(comfyui(comfyui_workers=1)) as service:
        await service.arm({"where": "start", "do": "stick"})
        runs = await queue(service, simple_graph(1))
        waits = await queue(service, simple_graph(2))
        body = await service.until("/queue", lambda it: it["queue_running"])
        assert [row[1] for row in body["queue_running"]] == [runs["prompt_id"]]
        assert [row[1] for row in body["queue_pending"]] == [waits["prompt_id"]]
        assert (await service.json("/prompt")) == {"exec_info": {"queue_remaining": 2}}
        await service.post("/queue", {"clear": True})
        assert (await service.json("/queue"))["queue_pending"] == []


@pytest.fixture
async def ids(image_mock: Service) -> list[str]:
    """Five that have ended, in order."""
    answers = [await queue(image_mock, simple_graph(color)) for color in range(5)]
    for answer in answers:
        await history_of(image_mock, answer["prompt_id"])
    return [str(answer["prompt_id"]) for answer in answers]


async def test_pages_of_the_history(image_mock: Service, ids: list[str]) -> None:
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


@pytest.mark.parametrize("path", ["/history", "/queue"])
async def test_a_list_that_is_none_is_the_servers_trouble(image_mock: Service, path: str) -> None:
    assert (await image_mock.post(path, {"delete": None})).status_code == 500
    assert (await image_mock.http.post(path)).status_code == 500
    assert (await image_mock.post(path, {"delete": ["nope", 5]})).status_code == 200


async def test_history_can_be_forgotten(image_mock: Service) -> None:
    ids = [(await queue(image_mock, simple_graph(n)))["prompt_id"] for n in range(3)]
    for prompt_id in ids:
        await history_of(image_mock, prompt_id)
    assert len(await image_mock.json("/history?max_items=2")) == 2
    await image_mock.post("/history", {"delete": [ids[0]]})
    assert set(await image_mock.json("/history")) == set(ids[1:])
    await image_mock.post("/history", {"clear": True})
    assert await image_mock.json("/api/history") == {}


async def test_an_upload_is_served_from_the_input_folder(image_mock: Service) -> None:
    files = {"image": ("cat.png", b"not really", "image/png")}
    reply = await image_mock.http.post("/upload/image", files=files)
    assert reply.json() == {"name": "cat.png", "subfolder": "", "type": "input"}
    found = await image_mock.http.get("/view?filename=cat.png&type=input")
    assert found.content == b"not really"


async def test_faults_meet_the_native_wire(image_mock: Service) -> None:
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


async def test_a_reset_forgets_queue_history_and_cache(image_mock: Service) -> None:
    answer = await queue(image_mock, simple_graph())
    await history_of(image_mock, answer["prompt_id"])
    await image_mock.post("/admin/reset", None)
    assert await image_mock.json("/history") == {}
    again = await queue(image_mock, simple_graph())
    entry = await history_of(image_mock, again["prompt_id"])
    assert entry["status"]["messages"][1][1]["nodes"] == []
