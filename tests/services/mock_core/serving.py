"""The mock applications on real sockets, and a receiver that remembers the callbacks it got."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from services.mock_comfyui.app import create_app as create_comfyui
from services.mock_comfyui.pictures import draw_picture
from services.mock_comfyui.settings import ComfyuiSettings
from services.mock_core.broken import ResettableProtocol
from services.mock_core.clock import DelaySpec
from services.mock_kling.app import create_app as create_kling
from services.mock_kling.settings import KlingSettings
from tests.fixtures.eventually import eventually

Json = dict[str, Any]
# Between two looks at first; a request takes as long of the processor that a mock works with.
STEP_SECONDS = 0.005
# Not so much that files would expire (after 30 nominal days) while they are fetched.
HURRY = 50_000


@contextlib.asynccontextmanager
async def served(app: Any) -> AsyncIterator[str]:
    """The base address of the application while it runs; uvicorn's protocol without its loop."""
    config = uvicorn.Config(app, ws="websockets-sansio", log_config=None, access_log=False)
    config.load()
    state = ServerState()

    def protocol() -> asyncio.Protocol:
        return ResettableProtocol(config=config, server_state=state, app_state={})

    async with app.router.lifespan_context(app) if isinstance(app, FastAPI) else nullcontext():
        server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0)
        try:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            server.close()
            for connection in list(state.connections):
                connection.shutdown()
            for task in list(state.tasks):
                task.cancel()
            await asyncio.gather(*state.tasks, return_exceptions=True)


@dataclass
class Service:
    """One running mock, and the application's own parts behind it."""

    http: httpx.AsyncClient
    app: Any
    # Where it may fetch a picture, in the tests that serve one.
    picture_url: str = ""

    async def post(self, path: str, body: object, **headers: str) -> httpx.Response:
        return await self.http.post(path, json=body, headers=headers)

    async def json(self, path: str) -> Any:
        return (await self.http.get(path)).json()

    async def arm(self, *rules: Json, seed: int = 0) -> None:
        reply = await self.http.put("/admin/faults", json={"rules": list(rules), "seed": seed})
        assert reply.status_code == 200, reply.text

    async def until(self, path: str, fits: Callable[[Any], bool]) -> Any:
        """Poll, as a client would, until the answer fits."""
        return await eventually(lambda: self.json(path), fits, pause=STEP_SECONDS)

    async def row(self, external_id: str) -> Json:
        rows = await self.json(f"/admin/ledger?external_id={external_id}")
        return dict(rows[-1])

    async def configure(self, **changes: object) -> None:
        reply = await self.http.put("/admin/config", json=changes)
        assert reply.status_code == 200, reply.text

    async def hurry(self) -> None:
        """From now on everything takes next to no time, what is under way included."""
        await self.configure(speed=HURRY)

    async def quiet(self) -> None:
        """Nothing runs or is still to come, and no callback is on its way."""
        await self.until(
            "/admin/stats",
            lambda it: not (it["in_flight"] or it["accepted_later"] or it["callbacks_pending"]),
        )


@contextlib.asynccontextmanager
async def running(app: Any) -> AsyncIterator[Service]:
    async with (
        served(app) as base,
        httpx.AsyncClient(
            base_url=base,
            timeout=60,
            trust_env=False,
            # Plain HTTP alone: reading the certificates would take longer than most tests.
            verify=False,  # noqa: S501
            # The server ends a connection that was idle for 5 s; then none may be taken for good.
            limits=httpx.Limits(keepalive_expiry=2),
        ) as http,
    ):
        yield Service(http, app)


def comfyui(**changes: Any) -> Any:
    """The image service, quick unless told otherwise: 30 nominal seconds are 0.03 s."""
    return create_comfyui(
        ComfyuiSettings(mock_speed=1000, mock_image_seconds=DelaySpec(30)).model_copy(
            update=changes
        )
    )


def kling(**changes: Any) -> Any:
    return create_kling(
        KlingSettings(mock_speed=1000, mock_video_seconds=DelaySpec(70)).model_copy(update=changes)
    )


@dataclass
class Receiver:
    """Answers callbacks with `status`."""

    url: str = ""
    status: int = 200
    bodies: list[Json] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    arrived: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            body = await request.body()
        except ClientDisconnect:
            return
        await Response(status_code=self.status)(scope, receive, send)
        self.raw.append(body)
        self.paths.append(str(request.url.replace(scheme="", netloc="")))
        self.headers.append(dict(request.headers))
        with contextlib.suppress(ValueError):
            self.bodies.append(json.loads(body))
        async with self.arrived:
            self.arrived.notify_all()

    async def count(self, number: int) -> None:
        """Wait until so many have come."""
        async with self.arrived:
            await self.arrived.wait_for(lambda: len(self.raw) >= number)

    @property
    def words(self) -> list[str]:
        return [body["task_status"] for body in self.bodies]


@contextlib.asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    async with served(receiver) as base:
        receiver.url = f"{base}/callback/kling?task=a&token=secret"
        yield receiver


@cache
def small_picture() -> Response:
    """An app that serves one small picture at any path."""
    return Response(draw_picture("一只猫", "", "", size=(320, 180)), media_type="image/png")
