"""Two sockets under one id, and one that isn't read: as the real server is seen to do."""

import asyncio

import pytest

from tests.services.mock_comfyui.native.client import history_of, listening, queue, simple_graph
from tests.services.mock_core.serving import Service


async def _run_and_witness(service: Service, color: int, client_id: str) -> None:
    """A run for this client, of which a third one has heard all."""
    async with listening(service, "witness") as witness:
        await queue(service, simple_graph(color), client_id=client_id)
        await witness.idle()


async def test_the_second_of_two_takes_the_place_of_the_first(image_mock: Service) -> None:
    async with listening(image_mock, "shared") as first, listening(image_mock, "shared") as second:
        await queue(image_mock, simple_graph(), client_id="shared")
        kinds = [event["type"] for event in await second.finish()]
        assert kinds[:3] == ["status", "status", "execution_start"]
        assert await first.hears_nothing()


async def test_both_are_deaf_once_either_has_gone(image_mock: Service) -> None:
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


async def test_who_does_not_read_holds_up_all_the_others(
    image_mock: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = image_mock.app.state.queue.hub
    async with listening(image_mock, "reader") as reader:
        held = asyncio.Event()
        async with listening(image_mock, "deaf"):
            (listener,) = hub.meant("deaf")

            async def never(_: object) -> None:
                await held.wait()

            monkeypatch.setattr(listener, "send", never)
            answer = await queue(image_mock, simple_graph(), client_id="reader")
            entry = await history_of(image_mock, answer["prompt_id"])
            assert entry["status"]["completed"]
            # The first frame is his before the deaf one's turn comes.
            await reader.until("status")
            assert await reader.hears_nothing()
            held.set()
            kinds = [event["type"] for event in await reader.finish()]
    assert kinds[-3:] == ["execution_success", "status", "executing"]
