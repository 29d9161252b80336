"""The nine traps of the native wire: each one snaps."""

import uuid

import pytest
from websockets.exceptions import ConnectionClosed

from tests.services.mock_comfyui.native.client import (
    history_of,
    listening,
    queue,
    simple_graph,
)
from tests.services.mock_comfyui.native.test_captured import BAD_MODEL
from tests.services.mock_core.serving import Service, comfyui, running

SLOW = {"speed": 2}


async def test_1_a_200_may_carry_node_errors(image_mock: Service) -> None:
    answer = await queue(image_mock, {**simple_graph(), **BAD_MODEL})
    assert answer["node_errors"].keys() == {"3", "4"}
    assert (await history_of(image_mock, answer["prompt_id"]))["outputs"].keys() == {"2"}


async def test_2_history_is_empty_while_it_runs_and_for_what_never_was(
    image_mock: Service,
) -> None:
    await image_mock.arm({"where": "start", "do": "stick"})
    answer = await queue(image_mock, simple_graph())
    assert await image_mock.json(f"/history/{answer['prompt_id']}") == {}
    assert await image_mock.json(f"/history/{uuid.uuid4()}") == {}


async def test_2_history_is_lost_by_a_restart_and_the_file_is_still_served(
    image_mock: Service,
) -> None:
    answer = await queue(image_mock, simple_graph())
    entry = await history_of(image_mock, answer["prompt_id"])
    await image_mock.post("/admin/restart", None)
    assert await image_mock.json(f"/history/{answer['prompt_id']}") == {}
    image = entry["outputs"]["2"]["images"][0]
    assert (await image_mock.http.get("/view", params=image)).status_code == 200


async def test_2_a_restart_cuts_the_sockets_and_forgets_what_was_cached(
    image_mock: Service,
) -> None:
    answer = await queue(image_mock, simple_graph())
    await history_of(image_mock, answer["prompt_id"])
    async with listening(image_mock) as socket:
        await image_mock.post("/admin/restart", None)
        with pytest.raises(ConnectionClosed):
            await socket.until("never")
    again = await queue(image_mock, simple_graph())
    messages = (await history_of(image_mock, again["prompt_id"]))["status"]["messages"]
    assert messages[1][1]["nodes"] == []


async def test_3_the_same_id_twice_runs_twice(image_mock: Service) -> None:
    prompt_id = str(uuid.uuid4())
    for color in (1, 2):
        answer = await queue(image_mock, simple_graph(color), prompt_id=prompt_id)
        assert answer["prompt_id"] == prompt_id
    await image_mock.quiet()
    stats = await image_mock.json("/admin/stats")
    assert (stats["accepted"], stats["duplicates"]) == (2, 1)


async def test_4_the_same_graph_twice_points_at_the_same_file(image_mock: Service) -> None:
    files = []
    for graph in (simple_graph(5), simple_graph(5), simple_graph(6)):
        answer = await queue(image_mock, graph)
        entry = await history_of(image_mock, answer["prompt_id"])
        files.append(entry["outputs"]["2"]["images"][0]["filename"])
    assert files == ["probe_00001_.png", "probe_00001_.png", "probe_00002_.png"]


async def test_5_a_job_cancelled_in_the_queue_is_as_if_it_never_was() -> None:
    async with running(comfyui(comfyui_workers=1)) as service:
        await service.arm({"where": "start", "do": "stick", "often": {"events": "1"}})
        await queue(service, simple_graph(1))
        waits = await queue(service, simple_graph(2))
        await service.post("/queue", {"delete": [waits["prompt_id"]]})
        assert (await service.http.get(f"/api/jobs/{waits['prompt_id']}")).status_code == 404
        assert await service.json(f"/history/{waits['prompt_id']}") == {}


async def test_6_success_is_told_before_the_history_is_written(image_mock: Service) -> None:
    # Long enough to look.
    image_mock.app.state.queue.history_lag = 60
    async with listening(image_mock) as socket:
        answer = await queue(image_mock, simple_graph(), client_id="me")
        await socket.until("execution_success")
    assert await image_mock.json(f"/history/{answer['prompt_id']}") == {}
    assert (await image_mock.json(f"/api/jobs/{answer['prompt_id']}"))["status"] == "in_progress"


async def test_6_the_history_is_there_with_the_last_word(image_mock: Service) -> None:
    async with listening(image_mock) as socket:
        answer = await queue(image_mock, simple_graph(), client_id="me")
        await socket.until("executing", node=None)
        assert await image_mock.json(f"/history/{answer['prompt_id']}") != {}


async def test_6_the_last_word_comes_after_an_error_too(image_mock: Service) -> None:
    await image_mock.arm({"where": "start", "do": "fail"})
    async with listening(image_mock) as socket:
        await queue(image_mock, simple_graph(), client_id="me")
        kinds = [event["type"] for event in await socket.finish()]
    assert "execution_error" in kinds
    assert "execution_success" not in kinds
    assert kinds[-2:] == ["status", "executing"]


async def test_7_an_end_missed_while_away_is_never_told_again(image_mock: Service) -> None:
    await image_mock.http.put("/admin/config", json=SLOW)
    async with listening(image_mock) as socket:
        answer = await queue(image_mock, simple_graph(), client_id="me")
        await socket.until("executing", node="1")
    async with listening(image_mock) as socket:
        assert (await socket.until("executing"))["data"] == {"node": "1"}
    await image_mock.http.put("/admin/config", json={"speed": 1_000_000})
    await history_of(image_mock, answer["prompt_id"])
    async with listening(image_mock) as socket:
        await queue(image_mock, simple_graph(9), client_id="other")
        await socket.until("status", status={"exec_info": {"queue_remaining": 0}})
        assert {event["type"] for event in socket.frames} == {"status"}


@pytest.mark.parametrize(("how", "last"), [("fail", "error"), ("interrupt", "interrupted")])
async def test_8_interrupted_and_failed_both_read_error(
    image_mock: Service, how: str, last: str
) -> None:
    await image_mock.arm({"where": "start", "do": "fail" if how == "fail" else "stick"})
    answer = await queue(image_mock, simple_graph())
    if how == "interrupt":
        path = f"/api/jobs/{answer['prompt_id']}"
        await image_mock.until(path, lambda it: it["status"] == "in_progress")
        await image_mock.post("/interrupt", {})
    entry = await history_of(image_mock, answer["prompt_id"])
    assert (entry["status"]["status_str"], entry["status"]["completed"]) == ("error", False)
    assert entry["status"]["messages"][-1][0] == f"execution_{last}"


async def test_9_an_error_carries_server_paths(image_mock: Service) -> None:
    await image_mock.arm({"where": "start", "do": "fail", "with": {"message": "out of memory"}})
    answer = await queue(image_mock, simple_graph())
    _, error = (await history_of(image_mock, answer["prompt_id"]))["status"]["messages"][-1]
    assert "out of memory" in error["exception_message"]
    assert "/opt/ComfyUI/" in "".join(error["traceback"])
