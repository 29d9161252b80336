"""Wires between worker and vendors: proxies that hold a submit, or the reply to it."""

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import httpx
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocketClose

from services.mock_core.broken import ResetResponse
from tests.services.mock_core.serving import served

IMAGE_WIRE, VIDEO_WIRE = "image wire", "video wire"
_SUBMIT = re.compile(r"POST /((img|video)/submit|api/prompt|v1/videos/)")
# Each server and client on the way writes its own.
_OF_ONE_HOP = {b"connection", b"content-length", b"date", b"server", b"transfer-encoding"}
# A connection that is given up in mid-request leaves its socket behind.
CLOSING_SECONDS = 2.0
Headers = list[tuple[bytes, bytes]]
# The first is a ComfyUI's, whose client_id is another one.
_MEMBERS = ("external_id", "client_id", "external_task_id")


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: Headers
    body: bytes

    @property
    def is_submit(self) -> bool:
        return bool(_SUBMIT.match(f"{self.method} {self.path}"))

    @property
    def external_id(self) -> str | None:
        with contextlib.suppress(ValueError):
            body: dict[str, Any] = json.loads(self.body)
            named = {**body, **body.get("extra_data", {})}
            return next((named[name] for name in _MEMBERS if name in named), None)
        return None


class Hold:
    """Holds the first submit that fits until its release: before it is passed on, or its reply."""

    def __init__(self, fits: Callable[[Request], bool], *, reply: bool) -> None:
        self.fits, self.reply = fits, reply
        self.held: asyncio.Future[Request] = asyncio.get_running_loop().create_future()
        self._over = asyncio.Event()

    def release(self) -> None:
        """Let go on what is held, and hold nothing more."""
        self._over.set()

    @property
    def is_over(self) -> bool:
        return self._over.is_set()

    async def wait(self, request: Request) -> None:
        self.held.set_result(request)
        await self._over.wait()


class VendorWire:
    """Stands for one vendor at `url`; the vendor itself is at the target."""

    def __init__(self, target: str, http: httpx.AsyncClient) -> None:
        self.url = ""
        self._target = target
        self._http = http
        self._holds: list[Hold] = []
        self._under_way = 0
        self._idle = asyncio.Event()

    def hold(self, fits: Callable[[Request], bool], *, reply: bool = False) -> Hold:
        found = Hold(fits, reply=reply)
        self._holds.append(found)
        return found

    async def quiet(self) -> None:
        """Return when nothing is on its way, what is held for a sender that has left included."""
        while self._under_way:
            self._idle.clear()
            await self._idle.wait()

    async def close(self) -> None:
        """Release everything, and let it get where it was to go, if that is soon."""
        for hold in self._holds:
            hold.release()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSING_SECONDS):
                await self.quiet()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            # Requests alone are passed on.
            await WebSocketClose()(scope, receive, send)
            return
        request = await _read(scope, receive)
        self._under_way += 1
        try:
            await (await self._carried(request))(scope, receive, send)
        finally:
            self._under_way -= 1
            self._idle.set()

    async def _carried(self, request: Request) -> Response:
        hold = next((each for each in self._holds if self._takes(each, request)), None)
        if hold and not hold.reply:
            await hold.wait(request)
        reply = await self._forward(request)
        if hold and hold.reply:
            await hold.wait(request)
        return reply

    def _takes(self, hold: Hold, request: Request) -> bool:
        free = not (hold.is_over or hold.held.done())
        return free and request.is_submit and hold.fits(request)

    async def _forward(self, request: Request) -> Response:
        """The vendor's reply; 503 where nobody takes the connection, as a gateway answers."""
        try:
            async with self._http.stream(
                request.method,
                f"{self._target}{request.path}",
                headers=_passed_on(request.headers),
                content=request.body,
            ) as reply:
                body = b"".join([chunk async for chunk in reply.aiter_raw()])
        except (httpx.ConnectError, httpx.ConnectTimeout):
            return PlainTextResponse("nobody is there", 503)
        except httpx.HTTPError:
            return ResetResponse()
        whole = Response(body, reply.status_code)
        whole.raw_headers = _passed_on(reply.headers.raw)
        whole.headers["content-length"] = str(len(body))
        return whole


def _passed_on(headers: Headers) -> Headers:
    return [(name, value) for name, value in headers if name.lower() not in _OF_ONE_HOP]


async def _read(scope: Scope, receive: Receive) -> Request:
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    path, query = scope["raw_path"].decode(), scope["query_string"].decode()
    target = f"{path}?{query}" if query else path
    return Request(scope["method"], target, list(scope["headers"]), body)


@contextlib.asynccontextmanager
async def vendor_wire(target: str) -> AsyncIterator[VendorWire]:
    """A wire to the vendor at `target` for as long as the block runs."""
    async with httpx.AsyncClient(
        timeout=None,  # noqa: S113 - the sender's time-out counts
        trust_env=False,
        # A vendor that was restarted must not be called on a connection of the old process.
        limits=httpx.Limits(max_keepalive_connections=0),
    ) as http:
        wire = VendorWire(target, http)
        async with served(wire) as wire.url:
            try:
                yield wire
            finally:
                await wire.close()


async def hold(wire: VendorWire, seconds: float, *, patience: float, prompt: str) -> str | None:
    """Return the job whose submit is now held; None if there was none in time."""
    held = wire.hold(lambda request: prompt.encode() in request.body)
    try:
        request = await asyncio.wait_for(asyncio.shield(held.held), patience)
    except TimeoutError:
        held.release()
        return None
    asyncio.get_running_loop().call_later(seconds, held.release)
    return (request.external_id or "").split(".")[0]
