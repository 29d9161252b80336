"""The native wire: answers and events as captured of a real server, its queue, and its faults."""

import io
import json
import uuid
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.services.mock_comfyui.client import (
    entry_of,
    history_of,
    listening,
    node,
    queue,
    sampler_graph,
    simple_graph,
)
from tests.services.mock_core.serving import Json, Service

CAPTURED = json.loads(
    (Path(__file__).parent / "captured" / "comfyui-0.28.0.json").read_text(encoding="utf-8")
)
SECTIONS = {section["name"]: section["entries"] for section in CAPTURED["sections"]}
TIMES = {"timestamp", "create_time", "execution_start_time", "execution_end_time"}
CLIENT = "edbe561b85414457be52736befbebba9"
KEY = "a-key-of-some-length"


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


def _reply(section: str, call: str, number: int = -1) -> Any:
    found = [it for it in SECTIONS[section] if it.get("call", "").startswith(call)]
    return found[number]["body"]


def _captured_id(section: str) -> str:
    return str(_reply(section, "POST /prompt", 0)["prompt_id"])


async def test_run_and_its_history_match_the_capture(image_mock: Service) -> None:
    theirs = {_captured_id("first"): "P"}
    # Without the greeting of the socket.
    events = [it["ws"] for it in SECTIONS["first"] if "ws" in it and "sid" not in str(it["ws"])]
    async with listening(image_mock, CLIENT) as socket:
        extra = {"foo": "bar"}
        prompt_id = await queue(image_mock, simple_graph(), client_id=CLIENT, extra_data=extra)
        told = await socket.finish()
    ours = {prompt_id: "P"}
    assert _same(told, ours) == _same(events, theirs)
    for call in (f"/history/{prompt_id}", f"/api/jobs/{prompt_id}"):
        kept = _reply("first", f"GET {call.replace(prompt_id, _captured_id('first'))}")
        assert _same(await image_mock.json(call), ours) == _same(kept, theirs)


def _without_height() -> Json:
    graph = simple_graph()
    del graph["1"]["inputs"]["height"]
    return {"prompt": graph}


REFUSED: list[Json] = [
    {},
    {"prompt": simple_graph(), "prompt_id": "NOT-A-UUID"},
    {"prompt": {}},
    {"prompt": {"1": node("NopeNode")}},
    _without_height(),
    {"prompt": {"1": simple_graph()["1"]}},
]


async def test_refusals_have_the_captured_bodies(image_mock: Service) -> None:
    """Of those in the capture that are not about a value, which the mock does not check."""
    values = ("invalid_input_type", "value_smaller_than_min", "value_not_in_list")
    captured = [
        it
        for it in SECTIONS["errors"]
        if it.get("status") == 400 and not any(each in str(it["body"]) for each in values)
    ]
    for body, expected in zip(REFUSED, captured, strict=True):
        reply = await image_mock.post("/prompt", body)
        assert (reply.status_code, reply.json()) == (400, expected["body"])


async def test_one_good_output_is_enough(image_mock: Service) -> None:
    circle = {"5": node("ImageInvert", image=["6", 0]), "6": node("ImageInvert", image=["5", 0])}
    graph = {
        **simple_graph(),
        "3": node("SaveImage", filename_prefix="x"),
        "4": node("SaveImage", images=["nowhere", 0], filename_prefix="x"),
        "7": node("SaveImage", images=["6", 0], filename_prefix="x"),
        "8": {"class_type": "SaveImage"},
        **circle,
    }
    body = (await image_mock.post("/prompt", {"prompt": graph})).json()
    kinds = {key: it["errors"][0]["type"] for key, it in body["node_errors"].items()}
    crash = "exception_during_validation"
    assert kinds == {"3": "required_input_missing", **dict.fromkeys("478", crash)}
    assert body["node_errors"]["3"]["dependent_outputs"] == ["3"]
    assert (await history_of(image_mock, body["prompt_id"]))["outputs"].keys() == {"2"}


async def test_malformed_bodies_break_the_server(image_mock: Service) -> None:
    captured = next(it for it in SECTIONS["errors"] if it.get("status") == 500)
    for content in (
        b"{",
        b"[1]",
        b'{"prompt":null}',
        b'{"prompt":{"1":null}}',
        b'{"prompt":{},"extra_data":"x"}',
    ):
        reply = await image_mock.http.post("/prompt", content=content)
        assert (reply.status_code, reply.text) == (500, captured["body"])
        assert reply.headers["content-type"] == captured["type"]
    large = b'{"x":"' + b"A" * 5_000_000 + b'"}'
    assert (await image_mock.http.post("/prompt", content=large)).status_code == 413
    assert (await image_mock.json("/admin/stats"))["accepted"] == 0


async def test_unknown_ids(image_mock: Service) -> None:
    for captured in SECTIONS["misc"]:
        method, path = captured["call"].split(" ")
        if "f2c8d010" in path or path in ("/prompt", "/view?filename=../etc"):
            continue
        body: Json | None = {} if method == "POST" else None
        reply = await image_mock.http.request(method, path, json=body)
        assert reply.status_code == captured["status"], path
        if isinstance(captured["body"], dict):
            assert reply.json() == captured["body"]
        else:
            assert reply.text == captured["body"]


async def test_interrupted_run_matches_the_capture(image_mock: Service) -> None:
    section = "runtime error 2 / interrupt"
    await image_mock.configure(speed=1)
    async with listening(image_mock, CLIENT) as socket:
        first = await queue(image_mock, simple_graph(1), client_id=CLIENT)
        await socket.until("executing", node="1")
        second = await queue(image_mock, simple_graph(2), client_id=CLIENT)
        rows = await image_mock.json("/queue")
        assert [row[1] for row in rows["queue_running"]] == [first]
        assert [row[1] for row in rows["queue_pending"]] == [second]
        captured = [it for it in SECTIONS[section] if "GET /api/jobs" in it.get("call", "")]
        for prompt_id, word, theirs in ((first, "in_progress", 0), (second, "pending", 1)):
            job = await image_mock.json(f"/api/jobs/{prompt_id}")
            assert (job["status"], job.keys()) == (word, captured[theirs]["body"].keys())
        # An interrupt stops only what runs.
        await image_mock.post("/interrupt", {"prompt_id": second})
        reply = await image_mock.post(f"/api/jobs/{second}/cancel", None)
        assert reply.json() == {"cancelled": True}
        gone = await image_mock.http.get(f"/api/jobs/{second}")
        assert (gone.status_code, gone.json()) == (404, {"error": "Job not found"})
        for _ in range(2):
            reply = await image_mock.post(f"/api/jobs/{first}/cancel", None)
            assert reply.json() == {"cancelled": True}
        await image_mock.hurry()
        event = await socket.until("execution_interrupted")
        await socket.until("executing", node=None)
    kept = await history_of(image_mock, first)
    theirs = _reply(section, "GET /history")[_captured_id(section)]
    assert kept["status"]["status_str"] == theirs["status"]["status_str"] == "error"
    assert kept["status"]["messages"][-1][0] == theirs["status"]["messages"][-1][0]
    assert event["data"].keys() == theirs["status"]["messages"][-1][1].keys()
    job = await image_mock.json(f"/api/jobs/{first}")
    assert job["status"] == "cancelled"
    assert job.keys() <= captured[-1]["body"].keys()
    reply = await image_mock.post(f"/api/jobs/{first}/cancel", None)
    assert reply.json() == {"cancelled": False}


async def test_failed_run_names_its_node(image_mock: Service) -> None:
    await image_mock.arm({"where": "start", "do": "out-of-memory", "with": {"at": 70}})
    async with listening(image_mock) as socket:
        prompt_id = await queue(image_mock, simple_graph(), client_id="me")
        error = (await socket.until("execution_error"))["data"]
        await socket.finish()
    assert (error["exception_type"], error["node_id"]) == ("torch.OutOfMemoryError", "2")
    assert error["exception_message"].startswith("Allocation on device")
    assert "/opt/ComfyUI/" in "".join(error["traceback"])
    assert (await history_of(image_mock, prompt_id))["status"]["messages"][-1][1] == error
    job = await image_mock.json(f"/api/jobs/{prompt_id}")
    assert (job["status"], job["execution_error"]) == ("failed", error)
    assert not (await image_mock.json("/admin/ledger"))[-1]["charged"]


async def test_steps_of_a_sampler_are_sent(image_mock: Service) -> None:
    async with listening(image_mock) as socket:
        await queue(image_mock, sampler_graph(steps=4), client_id="me")
        frames = await socket.finish()
    steps = [it["data"] for it in frames if it["type"] == "progress"]
    assert [(it["node"], it["value"], it["max"]) for it in steps] == [
        ("3", n, 4) for n in range(1, 5)
    ]


async def test_one_prompt_runs_at_a_time_and_a_stuck_one_lets_others_pass(
    image_mock: Service,
) -> None:
    await image_mock.arm({"where": "start", "do": "never-start", "match": {"nth": 1}})
    never, *others = [await queue(image_mock, simple_graph(n)) for n in range(5)]
    rows = Counter[int]()
    while len((body := await image_mock.json("/queue"))["queue_pending"]) > 1:
        rows[len(body["queue_running"])] += 1
    assert max(rows) <= 1
    for prompt_id in others:
        assert (await history_of(image_mock, prompt_id))["status"]["completed"]
    assert (await image_mock.json(f"/api/jobs/{never}"))["status"] == "pending"
    await image_mock.post("/queue", {"delete": [never]})
    assert (await image_mock.json("/queue"))["queue_pending"] == []


async def test_id_that_runs_again_shows_its_old_end(image_mock: Service) -> None:
    prompt_id = str(uuid.uuid4())
    await entry_of(image_mock, simple_graph(1), prompt_id=prompt_id)
    await image_mock.arm({"where": "start", "do": "stick"})
    await queue(image_mock, simple_graph(2))
    await queue(image_mock, simple_graph(3), prompt_id=prompt_id)
    job = await image_mock.json(f"/api/jobs/{prompt_id}")
    assert (job["status"], job["priority"]) == ("completed", 0)
    waiting = (await image_mock.json("/queue"))["queue_pending"]
    assert [row[:2] for row in waiting] == [[2, prompt_id]]


async def test_restart_cuts_sockets_and_keeps_only_saved_files(image_mock: Service) -> None:
    done = await entry_of(image_mock, simple_graph(1, "jobs/pic"))
    await image_mock.arm({"where": "start", "do": "stick"})
    lost = [await queue(image_mock, simple_graph(n, "lost/pic")) for n in (2, 3)]
    await image_mock.until("/queue", lambda it: it["queue_running"])
    async with listening(image_mock) as socket:
        await image_mock.post("/admin/restart", None)
        with pytest.raises(ConnectionClosed):
            await socket.until("never")
    assert await image_mock.json("/queue") == {"queue_running": [], "queue_pending": []}
    for prompt_id in lost:
        assert (await image_mock.http.get(f"/api/jobs/{prompt_id}")).status_code == 404
        assert await image_mock.json(f"/history/{prompt_id}") == {}
    [image] = done["outputs"]["2"]["images"]
    assert (await image_mock.http.get("/view", params=image)).status_code == 200
    missing = {**image, "subfolder": "lost"}
    assert (await image_mock.http.get("/view", params=missing)).status_code == 404
    await image_mock.http.delete("/admin/faults")
    again = (await entry_of(image_mock, simple_graph(1, "jobs/pic")))["outputs"]["2"]["images"][0]
    assert again == {**image, "filename": "pic_00002_.png"}


SAVERS: dict[str, str] = {
    "SaveImage": "saved_00001_.png",
    "SaveImageAdvanced": "saved_00001.png",
    "SaveAnimatedPNG": "saved_00001_.png",
    "SaveAnimatedWEBP": "saved_00001_.webp",
}
MORE = {"format": "png", "fps": 6.0, "compress_level": 4, "lossless": True, "quality": 80}


async def test_each_saving_node_names_its_files_differently(image_mock: Service) -> None:
    for kind, name in SAVERS.items():
        graph = simple_graph()
        saver = node(
            kind, images=["1", 0], filename_prefix=f"{kind}/saved", method="default", **MORE
        )
        graph["2"] = saver
        [image] = (await entry_of(image_mock, graph))["outputs"]["2"]["images"]
        assert (image["filename"], image["type"]) == (name, "output")
        reply = await image_mock.http.get("/view", params=image)
        Image.open(io.BytesIO(reply.content)).load()
    graph["2"] = node("PreviewImage", images=["1", 0])
    [image] = (await entry_of(image_mock, graph))["outputs"]["2"]["images"]
    assert image["type"] == "temp"
    assert (await image_mock.http.get("/view", params=image)).status_code == 200


async def test_pictures_of_another_format(image_mock: Service) -> None:
    for format_, ending in (("jpeg", "jpg"), ("webp", "webp")):
        await image_mock.configure(native={"format": format_})
        [image] = (await entry_of(image_mock, simple_graph(1, format_)))["outputs"]["2"]["images"]
        assert image["filename"] == f"{format_}_00001_.{ending}"
        reply = await image_mock.http.get("/view", params=image)
        assert reply.headers["content-type"] == f"image/{format_}"
        assert Image.open(io.BytesIO(reply.content)).format == format_.upper()


async def test_picture_has_the_graphs_size_and_carries_the_graph(image_mock: Service) -> None:
    graph, workflow = sampler_graph(), {"id": "w", "title": "雪"}
    extra = {"extra_pnginfo": {"workflow": workflow}}
    (image,) = (await entry_of(image_mock, graph, extra_data=extra))["outputs"]["9"]["images"]
    assert image == {"filename": "nap_00001_.png", "subfolder": "cats", "type": "output"}
    reply = await image_mock.http.get("/api/view", params=image)
    picture = Image.open(io.BytesIO(reply.content))
    assert picture.size == (512, 256)
    assert json.loads(picture.info["prompt"]) == graph
    assert picture.info["workflow"] == json.dumps(workflow)


@pytest.mark.parametrize(("told", "noted"), [("job-1.2", "job-1.2"), (5, "given"), (None, "given")])
async def test_ledger_has_the_external_id_of_the_extra_data(
    image_mock: Service, told: object, noted: str
) -> None:
    given = str(uuid.uuid4())
    extra = {} if told is None else {"external_id": told}
    await entry_of(image_mock, simple_graph(1), prompt_id=given, extra_data=extra)
    row = (await image_mock.json("/admin/ledger"))[-1]
    assert row["external_id"] == (given if noted == "given" else noted)
    assert row["attempt"] == (2 if noted == "job-1.2" else 1)


async def test_rules_meet_the_native_routes_and_match_the_text_of_a_graph(
    image_mock: Service,
) -> None:
    await image_mock.arm(
        {"where": "submit", "do": "refuse", "with": {"status": 503}, "often": {"first": 1}},
        {"where": "progress", "do": "no-url"},
        {"where": "poll", "do": "forget", "often": {"first": 1}},
    )
    body = {"prompt": simple_graph(), "prompt_id": str(uuid.uuid4())}
    assert (await image_mock.post("/prompt", body)).status_code == 503
    prompt_id = (await image_mock.post("/prompt", body)).json()["prompt_id"]
    assert (await image_mock.http.get(f"/api/jobs/{prompt_id}")).status_code == 404
    assert (await history_of(image_mock, prompt_id))["outputs"] == {}
    await image_mock.arm({"where": "start", "do": "fail", "match": {"prompt": "*猫*"}})
    for text, word in (("一只猫", "error"), ("a dog", "success")):
        entry = await entry_of(image_mock, sampler_graph(text))
        assert entry["status"]["status_str"] == word
    prompts = [row["prompt"] for row in await image_mock.json("/admin/ledger")]
    # Without the negative one.
    assert prompts[-2:] == ["一只猫", "a dog"]


async def test_success_is_sent_before_the_history_is_written(image_mock: Service) -> None:
    # Long enough to look.
    image_mock.app.state.queue.history_lag = 60
    async with listening(image_mock) as socket:
        prompt_id = await queue(image_mock, simple_graph(), client_id="me")
        await socket.until("execution_success")
    assert await image_mock.json(f"/history/{prompt_id}") == {}
    assert (await image_mock.json(f"/api/jobs/{prompt_id}"))["status"] == "in_progress"


async def test_replaced_or_deaf_socket_hears_nothing(image_mock: Service) -> None:
    async with listening(image_mock) as first, listening(image_mock) as second:
        await queue(image_mock, simple_graph(1), client_id="me")
        await second.finish()
        assert await first.hears_nothing()
        await image_mock.configure(native={"sockets": "stolen"})
        await entry_of(image_mock, simple_graph(2), client_id="me")
        assert await second.hears_nothing()


async def test_old_server_takes_any_id_and_has_no_jobs(image_mock: Service) -> None:
    await image_mock.configure(native={"version": "0.3.64"})
    assert await queue(image_mock, simple_graph(), prompt_id="job-1.1") == "job-1.1"
    await history_of(image_mock, "job-1.1")
    assert (await image_mock.http.get("/api/jobs/job-1.1")).status_code == 404
    assert (await image_mock.post("/api/jobs/job-1.1/cancel", None)).status_code == 405
    assert (await image_mock.json("/system_stats"))["system"]["comfyui_version"] == "0.3.64"


async def test_missing_key_is_401(image_mock: Service) -> None:
    await image_mock.configure(native={"key": KEY})
    keys = [{"X-API-Key": KEY}, {"Authorization": f"Bearer {KEY}"}]
    for path in ("/queue", "/history/a", "/system_stats"):
        assert (await image_mock.http.get(path)).status_code == 401
        wrong = {"X-API-Key": "other", "Authorization": KEY}
        assert (await image_mock.http.get(path, headers=wrong)).status_code == 401
        for header in keys:
            assert (await image_mock.http.get(path, headers=header)).status_code == 200
    base = str(image_mock.http.base_url).replace("http", "ws").rstrip("/")
    with pytest.raises(InvalidStatus) as refused:
        await connect(f"{base}/ws", proxy=None)
    assert refused.value.response.status_code == 401
    async with connect(f"{base}/ws", proxy=None, additional_headers=keys[0]) as socket:
        assert "sid" in str(await socket.recv())
    # The plain wire, and the mock's own routes, want none.
    assert (await image_mock.post("/img/submit", {"prompt": "x"})).status_code == 202
