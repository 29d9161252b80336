"""What the socket tells of a run, frame by frame, as captured from a real server."""

import json
from pathlib import Path

from tests.services.mock_comfyui.native.client import (
    Socket,
    history_of,
    listening,
    long_graph,
    queue,
    sampler_graph,
    simple_graph,
)
from tests.services.mock_comfyui.native.shorthand import told
from tests.services.mock_core.serving import Json, Service

CAPTURED = json.loads(
    (Path(__file__).parent / "captured" / "frames-0.28.0.json").read_text(encoding="utf-8")
)
FRAMES = CAPTURED["frames"]
PREVIEWS = {"preview_method": "latent2rgb"}


async def _run(service: Service, socket: Socket, graph: Json, **members: object) -> str:
    """The frames of one run, to its last word, or without a client to the empty queue."""
    await queue(service, graph, **members)
    if "client_id" in members:
        return told(list(await _all_of(socket)))
    return told(await socket.idle())


async def _all_of(socket: Socket) -> list[Json]:
    await socket.until("executing", node=None)
    return socket.taken()


def test_the_frames_say_where_they_come_from() -> None:
    assert CAPTURED["origin"].startswith("captured from a real ComfyUI 0.28.0")


async def test_runs_that_are_new_and_cached_whole_and_in_part(image_mock: Service) -> None:
    async with listening(image_mock) as socket:
        graph = simple_graph(prefix="one")
        assert await _run(image_mock, socket, graph, client_id="me") == FRAMES["03 one good run"]
        assert await _run(image_mock, socket, graph, client_id="me") == FRAMES["03 all cached"]
        graph = simple_graph(prefix="one-other")
        assert await _run(image_mock, socket, graph, client_id="me") == FRAMES["03 half cached"]


async def test_who_hears_of_a_run_that_is_not_his(image_mock: Service) -> None:
    async with listening(image_mock, "listener") as socket:
        anonymous = await _run(image_mock, socket, simple_graph(1))
        assert anonymous == FRAMES["03 at another socket, prompt without client_id"]
        await queue(image_mock, simple_graph(2), client_id="nobody")
        assert told(await socket.idle()) == FRAMES["03 at another socket, client_id of nobody"]


async def test_the_steps_of_a_run_without_a_client_are_told_to_all(image_mock: Service) -> None:
    async with listening(image_mock, "onlooker") as socket:
        await queue(image_mock, sampler_graph(seed=1))
        await socket.idle()
        steps = await _run(image_mock, socket, sampler_graph(seed=2))
    assert steps == FRAMES["13 at another socket, txt2img without client_id"]


async def test_a_failing_run_ends_with_the_last_word(image_mock: Service) -> None:
    files = {"image": ("bad.png", b"no picture at all", "image/png")}
    await image_mock.http.post("/upload/image", files=files)
    graph = simple_graph()
    graph["1"] = {"class_type": "LoadImage", "inputs": {"image": "bad.png"}}
    async with listening(image_mock) as socket:
        answer = await queue(image_mock, graph, client_id="me")
        assert told(await _all_of(socket)) == FRAMES["11 a run that fails"]
    messages = (await history_of(image_mock, answer["prompt_id"]))["status"]["messages"]
    error = messages[-1][1]
    assert error["exception_type"] == "PIL.UnidentifiedImageError"
    assert error["current_inputs"] == {"image": ["bad.png"]}
    job = await image_mock.json(f"/api/jobs/{answer['prompt_id']}")
    assert (job["status"], job["execution_error"]) == ("failed", error)


async def test_a_cancelled_run_ends_at_its_next_node(image_mock: Service) -> None:
    await image_mock.http.put("/admin/config", json={"speed": 1})
    async with listening(image_mock) as socket:
        answer = await queue(image_mock, long_graph(4), client_id="me")
        await socket.until("executing", node="1")
        await image_mock.http.put("/admin/config", json={"speed": 10})
        await socket.until("executing", node="3")
        await image_mock.http.put("/admin/config", json={"speed": 1})
        socket.taken()
        path = f"/api/jobs/{answer['prompt_id']}"
        for _ in range(2):
            reply = await image_mock.post(f"{path}/cancel", None)
            assert reply.json() == {"cancelled": True}
            assert (await image_mock.json(path))["status"] == "in_progress"
        await image_mock.hurry()
        frames = told(await _all_of(socket))
    assert (
        frames.replace("ps 1:f1/1 2:f1/1 3:f1/1", "ps +2 3:f1/1")
        == (FRAMES["06 the running one cancelled"])
    )
    assert (await image_mock.json(path))["status"] == "cancelled"
    assert (await image_mock.post(f"{path}/cancel", None)).json() == {"cancelled": False}


async def test_what_was_made_before_a_cancel_stays_and_is_cached(image_mock: Service) -> None:
    await image_mock.arm({"where": "start", "do": "stick", "with": {"at": 60}})
    graph = long_graph(3, early=True)
    async with listening(image_mock) as socket:
        answer = await queue(image_mock, graph, client_id="me")
        await socket.until("executing", node="3")
        await image_mock.post("/interrupt", {})
        frames = told(await _all_of(socket))
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
    again = await queue(image_mock, graph)
    messages = (await history_of(image_mock, again["prompt_id"]))["status"]["messages"]
    assert messages[1][1]["nodes"] == ["1", "50", "2"]


async def test_an_interruption_of_a_run_without_a_client_is_told_to_all(
    image_mock: Service,
) -> None:
    await image_mock.arm({"where": "start", "do": "stick", "with": {"at": 45}})
    async with listening(image_mock, "onlooker") as socket:
        await queue(image_mock, long_graph(3))
        while "3" not in (await socket.until("progress_state"))["data"]["nodes"]:
            pass
        await image_mock.post("/interrupt", {})
        assert told(await socket.idle()) == FRAMES["06 run without client_id cancelled"]


async def test_coming_back_in_the_middle(image_mock: Service) -> None:
    await image_mock.http.put("/admin/config", json={"speed": 10})
    async with listening(image_mock) as socket:
        await queue(image_mock, long_graph(5), client_id="me")
        await socket.until("executing", node="3")
        await image_mock.http.put("/admin/config", json={"speed": 1})
    async with listening(image_mock) as socket:
        await socket.until("executing", node="3")
        await image_mock.hurry()
        frames = told(await _all_of(socket))
    expected = FRAMES["05 coming back"].partition(" | ")[2]
    assert frames.replace("ps 1:f1/1 2:f1/1 3:f1/1", "ps +2 3:f1/1") == expected


async def test_the_change_from_one_prompt_to_the_next(image_mock: Service) -> None:
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
