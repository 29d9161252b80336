"""Answers and frames as captured of a real server."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from services.mock_comfyui.app import create_app
from tests.services.mock_comfyui.client import (
    Socket,
    entry_of,
    history_of,
    listening,
    long_graph,
    queue,
    sampler_graph,
    simple_graph,
    told,
)
from tests.services.mock_core.serving import Json, Service, comfyui, running

CAPTURED = json.loads(
    (Path(__file__).parent / "captured" / "comfyui-0.28.0.json").read_text(encoding="utf-8")
)
SECTIONS = {section["name"]: section["entries"] for section in CAPTURED["sections"]}
TIMES = {"timestamp", "create_time", "execution_start_time", "execution_end_time"}
CLIENT = "edbe561b85414457be52736befbebba9"
BAD_MODEL = {
    "3": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "x.safetensors"}},
    "4": {"class_type": "VAEDecode", "inputs": {"samples": ["3", 0], "vae": ["3", 2]}},
    "5": {"class_type": "SaveImage", "inputs": {"images": ["4", 0], "filename_prefix": "x"}},
}


@pytest.fixture
async def real() -> AsyncIterator[Service]:
    """A server without models, as the captured one."""
    settings = comfyui().state.mock.settings
    async with running(create_app(settings, checkpoints=())) as service:
        yield service


def _same(value: Any, ids: dict[str, str]) -> Any:
    """Without what differs from run to run: instants, and ids by order of appearance."""
    if isinstance(value, dict):
        return {
            ids.get(name, name): 0 if name in TIMES else _same(member, ids)
            for name, member in value.items()
        }
    if isinstance(value, list):
        return [_same(member, ids) for member in value]
    return ids.get(value, value) if isinstance(value, str) else value


def _events(section: str) -> list[Json]:
    """The captured events after the greeting of the socket."""
    return [it["ws"] for it in SECTIONS[section] if "ws" in it and "sid" not in str(it["ws"])]


def _reply(section: str, call: str, number: int = -1) -> Any:
    found = [it for it in SECTIONS[section] if it.get("call", "").startswith(call)]
    return found[number]["body"]


def _captured_id(section: str) -> str:
    return str(_reply(section, "POST /prompt", 0)["prompt_id"])


async def test_run_and_its_history_match_the_capture(real: Service) -> None:
    theirs = {_captured_id("first"): "P"}
    async with listening(real, CLIENT) as socket:
        extra = {"foo": "bar"}
        answer = await queue(real, simple_graph(), client_id=CLIENT, extra_data=extra)
        told = await socket.finish()
    prompt_id = answer["prompt_id"]
    ours = {prompt_id: "P"}
    assert _same(answer, ours) == _same(_reply("first", "POST /prompt"), theirs)
    assert _same(told, ours) == _same(_events("first"), theirs)
    for call in (f"/history/{prompt_id}", f"/api/jobs/{prompt_id}"):
        kept = _reply("first", f"GET {call.replace(prompt_id, _captured_id('first'))}")
        assert _same(await real.json(call), ours) == _same(kept, theirs)


async def test_repeated_graph_is_a_cache_hit_with_the_same_file(real: Service) -> None:
    section = "same workflow again (cache)"
    theirs = {_captured_id(section): "P"}
    await entry_of(real, simple_graph())
    async with listening(real, CLIENT) as socket:
        answer = await queue(real, simple_graph(), client_id=CLIENT)
        await history_of(real, answer["prompt_id"])
        told = await socket.finish()
    ours = {answer["prompt_id"]: "P"}
    start = [it["type"] for it in told].index("execution_start")
    expected = _events(section)
    assert _same(told[start:], ours) == _same(expected[2:], theirs)
    kept = await real.json(f"/history/{answer['prompt_id']}")
    assert _same(kept, ours) == _same(_reply(section, "GET /history"), theirs)


async def test_without_a_client_id_everybody_gets_the_nodes(real: Service) -> None:
    section = "no client_id"
    theirs = {_captured_id(section): "P"}
    async with listening(real, CLIENT) as socket:
        answer = await queue(real, simple_graph())
        await socket.until("status", status={"exec_info": {"queue_remaining": 0}})
    ours = {answer["prompt_id"]: "P"}
    assert _same(socket.frames, ours) == _same(_events(section), theirs)


def _width(value: object) -> Json:
    graph = simple_graph()
    graph["1"]["inputs"]["width"] = value
    return {"prompt": graph}


def _without_height() -> Json:
    graph = simple_graph()
    del graph["1"]["inputs"]["height"]
    return {"prompt": graph}


ERRORS: list[Json] = [
    {},
    {"prompt": simple_graph(), "prompt_id": "NOT-A-UUID"},
    {"prompt": {}},
    {"prompt": {"1": {"class_type": "NopeNode", "inputs": {}}}},
    _width("abc"),
    _width(0),
    _without_height(),
    {"prompt": {"1": simple_graph()["1"]}},
    {"prompt": {**simple_graph(), **BAD_MODEL}},
    {"prompt": BAD_MODEL},
]


async def test_errors_have_the_captured_bodies(real: Service) -> None:
    expected = [
        it for it in SECTIONS["errors"] if it.get("call") == "POST /prompt" and it["status"] != 500
    ]
    assert len(expected) == len(ERRORS)
    for number in range(4):
        await queue(real, simple_graph(number))
    for body, captured in zip(ERRORS, expected, strict=True):
        reply = await real.post("/prompt", body)
        told = reply.json()
        assert reply.status_code == captured["status"]
        ids = {told.get("prompt_id"): "P", captured["body"].get("prompt_id"): "P"}
        assert _same(told, ids) == _same(captured["body"], ids)


async def test_invalid_json_is_a_server_error(real: Service) -> None:
    captured = next(it for it in SECTIONS["errors"] if it.get("status") == 500)
    reply = await real.http.post("/prompt", content=b"{")
    assert (reply.status_code, reply.text) == (500, captured["body"])
    assert reply.headers["content-type"] == captured["type"]


async def test_unknown_routes_and_ids(real: Service) -> None:
    for captured in SECTIONS["misc"]:
        method, path = captured["call"].split(" ")
        if path.endswith("/cancel"):
            continue
        body: Json | None = {} if method == "POST" else None
        reply = await real.http.request(method, path, json=body)
        assert reply.status_code == captured["status"], path
        if isinstance(captured["body"], dict):
            assert reply.json() == captured["body"]
        else:
            assert reply.text == captured["body"]
    unknown = await real.post("/api/jobs/c0148332-6ce4-49c3-8f25-23c4d6dcca52/cancel", None)
    assert unknown.json() == {"cancelled": False}


async def test_interrupted_run_matches_the_capture(real: Service) -> None:
    section = "runtime error 2 / interrupt"
    await real.configure(speed=1)
    async with listening(real, CLIENT) as socket:
        first = await queue(real, simple_graph(1), client_id=CLIENT)
        await socket.until("executing", node="1")
        second = await queue(real, simple_graph(2), client_id=CLIENT)
        pending = await real.json(f"/api/jobs/{second['prompt_id']}")
        captured = [it for it in SECTIONS[section] if "GET /api/jobs" in it.get("call", "")]
        assert pending.keys() == captured[1]["body"].keys()
        assert pending["status"] == "pending"
        reply = await real.post(f"/api/jobs/{second['prompt_id']}/cancel", None)
        assert reply.json() == {"cancelled": True}
        gone = await real.http.get(f"/api/jobs/{second['prompt_id']}")
        assert (gone.status_code, gone.json()) == (404, {"error": "Job not found"})
        await real.post("/interrupt", {"prompt_id": first["prompt_id"]})
        await real.hurry()
        event = await socket.until("execution_interrupted")
        await socket.until("executing", node=None)
    kept = await history_of(real, first["prompt_id"])
    theirs = _reply(section, "GET /history")[_captured_id(section)]
    assert kept["status"]["status_str"] == theirs["status"]["status_str"] == "error"
    assert kept["status"]["messages"][-1][0] == theirs["status"]["messages"][-1][0]
    assert event["data"].keys() == theirs["status"]["messages"][-1][1].keys()
    job = await real.json(f"/api/jobs/{first['prompt_id']}")
    assert (job["status"], job.keys()) == ("cancelled", captured[-1]["body"].keys())


CAPTURED_FRAMES = json.loads(
    (Path(__file__).parent / "captured" / "frames-0.28.0.json").read_text(encoding="utf-8")
)
FRAMES = CAPTURED_FRAMES["frames"]


async def _run(service: Service, socket: Socket, graph: Json, **members: object) -> str:
    """The frames of one run, to its last word, or without a client to the empty queue."""
    await queue(service, graph, **members)
    return told(await (socket.finish() if "client_id" in members else socket.idle()))


async def test_partly_cached_run(image_mock: Service) -> None:
    async with listening(image_mock) as socket:
        await _run(image_mock, socket, simple_graph(prefix="one"), client_id="me")
        graph = simple_graph(prefix="one-other")
        assert await _run(image_mock, socket, graph, client_id="me") == FRAMES["03 half cached"]


async def test_frames_of_a_run_of_a_client_without_a_socket(image_mock: Service) -> None:
    async with listening(image_mock, "listener") as socket:
        await queue(image_mock, simple_graph(2), client_id="nobody")
        assert told(await socket.idle()) == FRAMES["03 at another socket, client_id of nobody"]


async def test_steps_of_a_run_without_a_client_reach_everybody(image_mock: Service) -> None:
    async with listening(image_mock, "onlooker") as socket:
        await queue(image_mock, sampler_graph(seed=1))
        await socket.idle()
        steps = await _run(image_mock, socket, sampler_graph(seed=2))
    assert steps == FRAMES["13 at another socket, txt2img without client_id"]


async def test_failing_run_ends_with_its_last_frame(image_mock: Service) -> None:
    files = {"image": ("bad.png", b"no picture at all", "image/png")}
    await image_mock.http.post("/upload/image", files=files)
    graph = simple_graph()
    graph["1"] = {"class_type": "LoadImage", "inputs": {"image": "bad.png"}}
    async with listening(image_mock) as socket:
        answer = await queue(image_mock, graph, client_id="me")
        assert told(await socket.finish()) == FRAMES["11 a run that fails"]
    messages = (await history_of(image_mock, answer["prompt_id"]))["status"]["messages"]
    error = messages[-1][1]
    assert error["exception_type"] == "PIL.UnidentifiedImageError"
    assert error["current_inputs"] == {"image": ["bad.png"]}
    assert "/opt/ComfyUI/" in "".join(error["traceback"])
    job = await image_mock.json(f"/api/jobs/{answer['prompt_id']}")
    assert (job["status"], job["execution_error"]) == ("failed", error)


async def test_cancelled_run_ends_at_its_next_node(image_mock: Service) -> None:
    await image_mock.configure(speed=1)
    async with listening(image_mock) as socket:
        answer = await queue(image_mock, long_graph(4), client_id="me")
        await socket.until("executing", node="1")
        await image_mock.configure(speed=10)
        await socket.until("executing", node="3")
        await image_mock.configure(speed=1)
        socket.taken()
        path = f"/api/jobs/{answer['prompt_id']}"
        for _ in range(2):
            reply = await image_mock.post(f"{path}/cancel", None)
            assert reply.json() == {"cancelled": True}
            assert (await image_mock.json(path))["status"] == "in_progress"
        await image_mock.hurry()
        frames = told(await socket.finish())
    assert (
        frames.replace("ps 1:f1/1 2:f1/1 3:f1/1", "ps +2 3:f1/1")
        == (FRAMES["06 the running one cancelled"])
    )
    assert (await image_mock.json(path))["status"] == "cancelled"
    assert (await image_mock.post(f"{path}/cancel", None)).json() == {"cancelled": False}


async def test_results_made_before_a_cancel_stay_cached(image_mock: Service) -> None:
    await image_mock.arm({"where": "start", "do": "stick", "with": {"at": 60}})
    graph = long_graph(3, early=True)
    async with listening(image_mock) as socket:
        answer = await queue(image_mock, graph, client_id="me")
        await socket.until("executing", node="3")
        await image_mock.post("/interrupt", {})
        frames = told(await socket.finish())
    assert frames == FRAMES["06 cancelled after an output"]
    path = answer["prompt_id"]
    entry = await history_of(image_mock, path)
    image = {"filename": "early_00001_.png", "subfolder": "", "type": "output"}
    assert entry["outputs"] == {"50": {"images": [image]}}
    assert (entry["status"]["status_str"], entry["status"]["completed"]) == ("error", False)
    assert entry["meta"].keys() == {"50"}
    job = await image_mock.json(f"/api/jobs/{path}")
    assert (job["status"], job["outputs_count"]) == ("cancelled", 1)
    assert job["preview_output"]["filename"] == "early_00001_.png"
    await image_mock.http.delete("/admin/faults")
    messages = (await entry_of(image_mock, graph))["status"]["messages"]
    assert messages[1][1]["nodes"] == ["1", "50", "2"]


async def test_interruption_without_a_client_reaches_everybody(
    image_mock: Service,
) -> None:
    await image_mock.arm({"where": "start", "do": "stick", "with": {"at": 45}})
    async with listening(image_mock, "onlooker") as socket:
        await queue(image_mock, long_graph(3))
        while "3" not in (await socket.until("progress_state"))["data"]["nodes"]:
            pass
        await image_mock.post("/interrupt", {})
        assert told(await socket.idle()) == FRAMES["06 run without client_id cancelled"]


async def test_reconnect_during_a_run(image_mock: Service) -> None:
    await image_mock.configure(speed=10)
    async with listening(image_mock) as socket:
        await queue(image_mock, long_graph(5), client_id="me")
        await socket.until("executing", node="3")
        await image_mock.configure(speed=1)
    async with listening(image_mock) as socket:
        await socket.until("executing", node="3")
        await image_mock.hurry()
        frames = told(await socket.finish())
    expected = FRAMES["05 coming back"].partition(" | ")[2]
    assert frames.replace("ps 1:f1/1 2:f1/1 3:f1/1", "ps +2 3:f1/1") == expected


async def test_switch_from_one_prompt_to_the_next(image_mock: Service) -> None:
    rule = {"where": "start", "do": "stick", "with": {"at": 50}, "match": {"nth": 1}}
    await image_mock.arm(rule)
    async with listening(image_mock) as socket:
        await queue(image_mock, long_graph(4), client_id="me")
        await queue(image_mock, simple_graph(2), client_id="me")
        await socket.until("executing", node="4")
        socket.taken()
        await image_mock.post("/interrupt", {})
        await socket.until("execution_cached")
        await socket.until("progress_state")
        frames = socket.taken()
    assert told(frames) == FRAMES["07 one interrupted, the other begins"]
