"""Percent by the server's socket: nothing waits for it, and nothing follows from its silence."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from services.worker.vendors.comfyui import percents as module
from services.worker.vendors.comfyui.percents import (
    MAX_FRAME_BYTES,
    MAX_TEXT,
    MOST,
    MOST_MEMBERS,
    Percents,
    Progress,
)
from tests.fixtures.eventually import eventually
from tests.fixtures.streams import proxy_to
from tests.services.worker.vendors.comfyui.bodies import ID, OTHER

# A sampler of 20 steps, and four other nodes.
WEIGHTS = {"3": 20, **dict.fromkeys("5678", 1)}


def frame(kind: str, **data: Any) -> str:
    return json.dumps({"type": kind, "data": {"prompt_id": ID, **data}})


def states(**at: tuple[float, float]) -> str:
    """As a real one tells where each node is."""
    nodes = {
        node_id: {
            "value": value,
            "max": most,
            "state": "finished" if value == most else "running",
            "node_id": node_id,
            "prompt_id": ID,
            "display_node_id": node_id,
            "parent_node_id": None,
            "real_node_id": node_id,
        }
        for node_id, (value, most) in ((name.lstrip("n"), it) for name, it in at.items())
    }
    return frame("progress_state", nodes=nodes)


def heard(*frames: str) -> int:
    progress = Progress(ID, WEIGHTS)
    for each in frames:
        progress.read(each)
    return progress.percent


def test_node_is_weighted_by_its_steps() -> None:
    for frames, percent in (
        ([], 0),
        ([frame("execution_start", timestamp=1)], 0),
        ([frame("execution_cached", nodes=["5", "6", "99"])], 8),
        ([states(n5=(1, 1), n3=(10, 20))], 45),
        ([states(n5=(1, 1)), frame("progress", node="3", value=5, max=20)], 25),
        ([frame("progress", node="3", value=15, max=20), states(n3=(5, 20))], 20),
        ([states(**{f"n{node}": (1, 1) for node in WEIGHTS})], MOST),
    ):
        assert heard(*frames) == percent


def test_invalid_frames_are_ignored() -> None:
    for strange in (
        "",
        "[]",
        "[" * 100_000,
        '{"type": "progress"}',
        '{"type": "status", "data": {"status": {"exec_info": {"queue_remaining": 1}}}}',
        frame("progress", node="3", value="x", max=20),
        frame("progress", node="3", value=5, max=0),
        frame("progress", node="3", value=10**400, max=20),
        frame("progress", node="\ud83d", value=5, max=20),
        frame("execution_cached", nodes=["\ud83d"]),
        frame("progress", node="3", value=20, max=20, more="x" * MAX_TEXT),
        frame("progress", node="3", value=20, max=20, more=[0] * (MOST_MEMBERS + 1)),
        frame("progress", node=["3"], value=5, max=20),
        frame("progress_state", nodes=[1]),
        frame("execution_cached"),
        frame("progress", node="3", value=20, max=20).replace(ID, OTHER),
    ):
        assert heard(states(n5=(1, 1)), strange) == 4


@dataclass
class Server:
    """Sends each socket what `frames` has; remembers under which path and key it came."""

    base: str = ""
    frames: list[str | bytes] = field(default_factory=list)
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    closes: bool = False
    came: asyncio.Event = field(default_factory=asyncio.Event)
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, socket: ServerConnection) -> None:
        assert socket.request is not None
        assert "origin" not in socket.request.headers
        self.asked.append((socket.request.path, socket.request.headers.get("X-API-Key")))
        for each in list(self.frames):
            with suppress(ConnectionClosed):
                await socket.send(each)
        self.came.set()
        if not self.closes:
            await socket.wait_closed()
            self.gone.set()


@asynccontextmanager
async def serving(**what: Any) -> AsyncIterator[tuple[Server, Percents]]:
    server = Server(**what)
    async with serve(server, "127.0.0.1", 0) as listening:
        port = next(iter(listening.sockets)).getsockname()[1]
        percents = Percents(f"http://127.0.0.1:{port}", WEIGHTS, {"X-API-Key": "k"})
        try:
            yield server, percents
        finally:
            await percents.aclose()


async def reached(percents: Percents, percent: int) -> None:
    async def look() -> int:
        return percents.of(ID)

    await eventually(look, lambda it: it == percent)


async def test_one_socket_per_prompt_under_its_id() -> None:
    picture = b"\x00\x00\x00\x01\x00\x00\x00\x02\xff\xd8"
    async with serving(frames=[picture, "no JSON", states(n3=(10, 20))]) as (server, percents):
        assert percents.of(ID) == 0
        await reached(percents, 41)
        assert server.asked == [(f"/ws?clientId={ID}", "k")]


async def test_closed_socket_is_opened_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSE_SECONDS", 0.01)
    async with serving(closes=True) as (server, percents):
        percents.of(ID)
        await server.came.wait()
        server.frames.append(states(n5=(1, 1)))
        await reached(percents, 4)
        assert len(server.asked) > 1


async def test_redirect_is_not_followed_with_our_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSE_SECONDS", 0.01)
    led_away: asyncio.Queue[str] = asyncio.Queue()

    def elsewhere(_: ServerConnection, request: Request) -> Response:
        led_away.put_nowait(request.path)
        return Response(302, "Found", Headers({"Location": there}))

    async with serving(closes=True) as (server, percents):
        there = f"{percents._address}{ID}"
        async with serve(server, "127.0.0.1", 0, process_request=elsewhere) as listening:
            port = next(iter(listening.sockets)).getsockname()[1]
            led = Percents(f"http://127.0.0.1:{port}", WEIGHTS, {"X-API-Key": "k"})
            led.of(ID)
            for _ in range(2):
                await led_away.get()
            await led.aclose()
        assert server.asked == []


async def test_distant_server_is_reached_through_the_proxy() -> None:
    server = Server(frames=[states(n3=(10, 20))])
    async with serve(server, "127.0.0.1", 0) as listening:
        port = next(iter(listening.sockets)).getsockname()[1]
        async with proxy_to({"comfy.example:8188": port}, "me:secret") as proxy:
            percents = Percents(
                "http://comfy.example:8188", WEIGHTS, {}, proxy=proxy.url("me:secret")
            )
            await reached(percents, 41)
            await percents.aclose()
    assert proxy.asked == ["CONNECT comfy.example:8188"]


async def test_server_without_sockets_is_no_failure() -> None:
    percents = Percents("http://127.0.0.1:9", WEIGHTS, {})
    for _ in range(3):
        assert percents.of(ID) == 0
        await asyncio.sleep(0)
    await percents.aclose()


@pytest.mark.parametrize("how", ["ended", "stopped", "nobody asks"])
async def test_nothing_is_left_open(monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    if how == "nobody asks":
        monkeypatch.setattr(module, "KEPT_SECONDS", 0.2)
        monkeypatch.setattr(module, "PAUSE_SECONDS", 0.01)
    async with serving(frames=[states(n5=(1, 1))]) as (server, percents):
        percents.of(ID)
        if how == "nobody asks":
            await percents._listeners[ID].task
            assert len(server.asked) == 1
            return
        await reached(percents, 4)
        if how == "ended":
            percents.forget(ID)
        else:
            await percents.aclose()
        await server.gone.wait()


async def test_oversized_frames_close_the_socket_which_is_opened_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "PAUSE_SECONDS", 0.01)
    async with serving(frames=[bytes(MAX_FRAME_BYTES + 1)]) as (server, percents):
        percents.of(ID)
        await server.gone.wait()
        server.frames[:] = [states(n5=(1, 1))]
        await reached(percents, 4)


async def test_address_with_tls_and_a_path_is_kept() -> None:
    percents = Percents("https://comfy.example/gpu/", WEIGHTS, {})
    assert percents._address == "wss://comfy.example/gpu/ws?clientId="
