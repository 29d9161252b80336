"""The queue of the native wire, and its sockets."""

import asyncio
import uuid

from tests.services.mock_comfyui.client import entry_of, history_of, listening, queue, simple_graph
from tests.services.mock_core.serving import Service

STICK = {"where": "start", "do": "stick", "match": {"nth": 1}}


async def _occupied(service: Service) -> str:
    """One that runs until it is interrupted; its id."""
    await service.arm(STICK)
    answer = await queue(service, simple_graph(100))
    await service.until("/queue", lambda it: it["queue_running"])
    return str(answer["prompt_id"])


async def test_one_prompt_runs_at_a_time(image_mock: Service) -> None:
    answers = await asyncio.gather(*(queue(image_mock, simple_graph(n)) for n in range(6)))
    rows: list[int] = []
    while (body := await image_mock.json("/queue"))["queue_running"] or body["queue_pending"]:
        rows.append(len(body["queue_running"]))
    assert max(rows) == 1
    for answer in answers:
        assert (await history_of(image_mock, answer["prompt_id"]))["status"]["completed"]


async def test_id_that_runs_again_shows_its_old_end(image_mock: Service) -> None:
    prompt_id = str(uuid.uuid4())
    await queue(image_mock, simple_graph(1), prompt_id=prompt_id)
    await history_of(image_mock, prompt_id)
    await image_mock.arm({"where": "start", "do": "stick"})
    await queue(image_mock, simple_graph(100))
    await queue(image_mock, simple_graph(2), prompt_id=prompt_id)
    job = await image_mock.json(f"/api/jobs/{prompt_id}")
    assert (job["status"], job["priority"]) == ("completed", 0)
    waiting = (await image_mock.json("/queue"))["queue_pending"]
    assert [row[:2] for row in waiting] == [[2, prompt_id]]
    reply = await image_mock.post(f"/api/jobs/{prompt_id}/cancel", None)
    assert reply.json() == {"cancelled": True}
    assert (await image_mock.json(f"/api/jobs/{prompt_id}"))["status"] == "completed"


async def test_id_that_runs_again_keeps_its_place_in_the_history(image_mock: Service) -> None:
    ids = [str(uuid.uuid4()) for _ in range(2)]
    for color, prompt_id in enumerate([*ids, ids[0]]):
        await queue(image_mock, simple_graph(color), prompt_id=prompt_id)
    await image_mock.quiet()
    entries = await image_mock.until(
        "/history", lambda it: it.get(ids[0], {}).get("prompt", [0])[0] == 2
    )
    assert list(entries) == ids


async def test_cancel_stops_the_running_prompt_before_the_waiting_one(
    image_mock: Service,
) -> None:
    prompt_id = await _occupied(image_mock)
    again = await queue(image_mock, simple_graph(5), prompt_id=prompt_id)
    assert again["prompt_id"] == prompt_id
    assert (await image_mock.json(f"/api/jobs/{prompt_id}"))["status"] == "in_progress"
    await image_mock.post(f"/api/jobs/{prompt_id}/cancel", None)
    entries = await image_mock.until(
        "/history", lambda it: it.get(prompt_id, {}).get("prompt", [0])[0] == 1
    )
    assert entries[prompt_id]["status"]["completed"]


async def test_stuck_prompt_waits_while_others_run(image_mock: Service) -> None:
    await image_mock.arm({"where": "start", "do": "never-start", "match": {"nth": 1}})
    never = await queue(image_mock, simple_graph(1))
    await entry_of(image_mock, simple_graph(2))
    assert (await image_mock.json(f"/api/jobs/{never['prompt_id']}"))["status"] == "pending"
    await image_mock.post("/queue", {"delete": [never["prompt_id"]]})
    assert (await image_mock.json("/prompt"))["exec_info"]["queue_remaining"] == 0


async def test_interrupt_stops_the_named_prompt_or_the_running_one(
    image_mock: Service,
) -> None:
    runs = await _occupied(image_mock)
    waits = (await queue(image_mock, simple_graph(2)))["prompt_id"]
    image_mock.app.state.queue.history_lag = 0
    await image_mock.post("/interrupt", {"prompt_id": waits})
    # The plain wire does not wait for the native one; it takes longer than an interruption.
    plain = (await image_mock.post("/img/submit", {"prompt": "猫"})).json()["job_id"]
    await image_mock.until(f"/img/status/{plain}", lambda it: it["status"] == "succeeded")
    body = await image_mock.json("/queue")
    assert [len(body["queue_running"]), len(body["queue_pending"])] == [1, 1]
    assert (await image_mock.post("/interrupt", [])).status_code == 500
    reply = await image_mock.http.post("/interrupt", content=b"{")
    assert reply.status_code == 200
    assert (await history_of(image_mock, runs))["status"]["status_str"] == "error"
    assert (await history_of(image_mock, waits))["status"]["completed"]


async def test_empty_id_stops_the_running_prompt(
    image_mock: Service,
) -> None:
    assert (await image_mock.post("/interrupt", {})).status_code == 200
    runs = await _occupied(image_mock)
    await image_mock.post("/interrupt", {"prompt_id": ""})
    messages = (await history_of(image_mock, runs))["status"]["messages"]
    assert messages[-1][0] == "execution_interrupted"


async def _run_and_witness(service: Service, color: int, client_id: str) -> None:
    """A run for this client, of which a third one has heard all."""
    async with listening(service, "witness") as witness:
        await queue(service, simple_graph(color), client_id=client_id)
        await witness.idle()


async def test_second_socket_replaces_the_first(image_mock: Service) -> None:
    async with listening(image_mock, "shared") as first, listening(image_mock, "shared") as second:
        await queue(image_mock, simple_graph(), client_id="shared")
        kinds = [event["type"] for event in await second.finish()]
        assert kinds[:3] == ["status", "status", "execution_start"]
        assert await first.hears_nothing()


async def test_both_sockets_are_deaf_once_one_has_closed(image_mock: Service) -> None:
    async with listening(image_mock, "shared") as first:
        async with listening(image_mock, "shared") as second:
            pass
        await second.connection.wait_closed()
        await _run_and_witness(image_mock, 1, "shared")
        assert await first.hears_nothing()
    async with (
        listening(image_mock, "shared2") as first,
        listening(image_mock, "shared2") as second,
    ):
        await first.connection.close()
        await _run_and_witness(image_mock, 2, "two")
        assert await second.hears_nothing()
