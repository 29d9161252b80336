"""Wires between worker and vendors: proxies that hold, cut and lose single requests."""

import asyncio
import contextlib
import json
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import httpx
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocketClose

from services.mock_core.broken import HungResponse, ResetResponse
from tests.services.mock_core.serving import served

IMAGE_WIRE, VIDEO_WIRE = "image wire", "video wire"


class Route(StrEnum):
    """What a request is about."""

    SUBMIT = "submit"
    STATUS = "status"
    RESULT = "result"
    OTHER = "other"


class Deed(StrEnum):
    """What is done to a request: before it is passed on, or when its reply is there."""

    HOLD_REQUEST = "hold request"
    HOLD_REPLY = "hold reply"
    CUT_REQUEST = "cut request"
    CUT_REPLY = "cut reply"
    LOSE_REPLY = "lose reply"


_ROUTES = (
    (Route.SUBMIT, re.compile(r"POST /((img|video)/submit|api/prompt|v1/videos/)")),
    (Route.STATUS, re.compile(r"GET /((img|video)/status|api/jobs|v1/videos/\w+)/")),
    (Route.RESULT, re.compile(r"GET /((img/result|img/files|video/files)/|api/view)")),
)
# A vendor that fetches the picture for its video is none of the worker's requests.
_VENDORS = re.compile(r"mock-")
# Each server and client on the way writes its own.
_OF_ONE_HOP = {b"connection", b"content-length", b"date", b"server", b"transfer-encoding"}
# A connection that is given up in mid-request leaves its socket behind.
CLOSING_SECONDS = 2.0
Headers = list[tuple[bytes, bytes]]
# The first is a ComfyUI's, whose client_id is another one.
_MEMBERS = ("external_id", "client_id", "external_task_id")


@dataclass(frozen=True)
class Request:
    """One request as it came."""

    method: str
    path: str
    headers: Headers
    body: bytes

    @property
    def route(self) -> Route:
        """The first route that fits."""
        if _VENDORS.match(dict(self.headers).get(b"user-agent", b"").decode()):
            return Route.OTHER
        line = f"{self.method} {self.path}"
        return next((route for route, fits in _ROUTES if fits.match(line)), Route.OTHER)

    @property
    def external_id(self) -> str | None:
        """Our own id of the generation that is submitted."""
        with contextlib.suppress(ValueError):
            body: dict[str, Any] = json.loads(self.body)
            told = {**body, **body.get("extra_data", {})}
            return next((told[name] for name in _MEMBERS if name in told), None)
        return None


Fits = Callable[[Request], bool]
Forward = Callable[[Request], Awaitable[Response]]


def _any(_: Request) -> bool:
    return True


class Trouble:
    """One deed on one route, done to the first `times` that fit, or to all until its release."""

    def __init__(self, route: Route, deed: Deed, *, times: int | None, fits: Fits) -> None:
        self.route, self.deed = route, deed
        self._left, self._fits = times, fits
        self._met: list[Request] = []
        # Seconds since 1970; none where nobody was struck yet.
        self.since: float | None = None
        self._senders = 0
        self._news = asyncio.Event()
        self._over = asyncio.Event()

    def takes(self, request: Request) -> bool:
        """Whether this one is struck; it counts from here on."""
        if self.over or self._left == 0 or request.route is not self.route:
            return False
        if not self._fits(request):
            return False
        if self._left is not None:
            self._left -= 1
        return True

    async def struck(self, number: int = 1) -> Request:
        """The `number`th that was struck, as soon as it is: a held one is being held now."""
        while len(self._met) < number:
            self._news.clear()
            await self._news.wait()
        return self._met[number - 1]

    @property
    def met(self) -> int:
        """How many were struck so far."""
        return len(self._met)

    @property
    def over(self) -> bool:
        """Whether it was released."""
        return self._over.is_set()

    def release(self) -> None:
        """Let go on what is held, and strike no more."""
        self._over.set()

    async def gone(self) -> None:
        """Return when every sender that was struck has its answer, or has left."""
        while self._senders:
            self._news.clear()
            await self._news.wait()

    @contextlib.contextmanager
    def waited_for(self) -> Iterator[None]:
        """A sender that was struck waits for as long as the block runs."""
        self._senders += 1
        try:
            yield
        finally:
            self._senders -= 1
            self._news.set()

    async def strike(self, request: Request, forward: Forward) -> Response:
        """What the sender gets."""
        if self.deed is Deed.CUT_REQUEST:
            self._note(request)
            return ResetResponse()
        if self.deed is Deed.HOLD_REQUEST:
            self._note(request)
            await self._over.wait()
            return await forward(request)
        reply = await forward(request)
        self._note(request)
        if self.deed is Deed.HOLD_REPLY:
            await self._over.wait()
            return reply
        return ResetResponse() if self.deed is Deed.CUT_REPLY else HungResponse()

    def _note(self, request: Request) -> None:
        self.since = self.since or time.time()
        self._met.append(request)
        self._news.set()


class VendorWire:
    """Stands for one vendor at `url`; the vendor itself is at the target."""

    def __init__(self, target: str, http: httpx.AsyncClient) -> None:
        self.url = ""
        # Requests that came, of whatever route.
        self.count = 0
        self._target = target
        self._http = http
        self._troubles: list[Trouble] = []
        self._under_way = 0
        self._idle = asyncio.Event()

    def trouble(
        self, route: Route, deed: Deed, *, times: int | None = None, fits: Fits = _any
    ) -> Trouble:
        """Begin to strike; where two fit, the older one does."""
        found = Trouble(route, deed, times=times, fits=fits)
        self._troubles = [*(each for each in self._troubles if not each.over), found]
        return found

    async def quiet(self) -> None:
        """Return when nothing is on its way, what is held for a sender that has left included."""
        while self._under_way:
            self._idle.clear()
            await self._idle.wait()

    async def close(self) -> None:
        """Release everything, and let it get where it was to go, if that is soon."""
        for trouble in self._troubles:
            trouble.release()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSING_SECONDS):
                await self.quiet()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            # Requests alone are passed on.
            await WebSocketClose()(scope, receive, send)
            return
        request = await _read(scope, receive)
        self.count += 1
        self._under_way += 1
        try:
            await self._carry(request, scope, receive, send)
        finally:
            self._under_way -= 1
            self._idle.set()

    async def _carry(self, request: Request, scope: Scope, receive: Receive, send: Send) -> None:
        trouble = next((each for each in self._troubles if each.takes(request)), None)
        if trouble is None:
            await (await self._forward(request))(scope, receive, send)
        else:
            with trouble.waited_for():
                await (await trouble.strike(request, self._forward))(scope, receive, send)

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


@dataclass(frozen=True)
class VendorWires:
    """One wire to each vendor."""

    images: VendorWire
    videos: VendorWire

    @property
    def count(self) -> int:
        """Requests that came over either."""
        return self.images.count + self.videos.count

    async def disturb(
        self, target: str, route: Route, deed: Deed, seconds: float, *, patience: float
    ) -> Trouble:
        """Strike the first request on a route in time, and all later ones for the given seconds.

        Returns when no sender that was struck waits any more: one whose reply was lost waits until
        its own time is up.
        """
        trouble = self.of(target).trouble(route, deed)
        try:
            if await _struck(trouble, patience):
                await asyncio.sleep(seconds)
        finally:
            trouble.release()
        await trouble.gone()
        return trouble

    async def hold(
        self, target: str, seconds: float, *, patience: float, prompt: str = ""
    ) -> str | None:
        """Return the job whose submit is now held; None if there was none in time."""

        def fits(request: Request) -> bool:
            return prompt.encode() in request.body

        held = self.of(target).trouble(Route.SUBMIT, Deed.HOLD_REQUEST, times=1, fits=fits)
        request = await _struck(held, patience)
        if request is None:
            held.release()
            return None
        asyncio.get_running_loop().call_later(seconds, held.release)
        return (request.external_id or "").split(".")[0]

    def of(self, target: str) -> VendorWire:
        return {IMAGE_WIRE: self.images, VIDEO_WIRE: self.videos}[target]


async def _struck(held: Trouble, patience: float) -> Request | None:
    try:
        return await asyncio.wait_for(held.struck(), patience)
    except TimeoutError:
        return None


@contextlib.asynccontextmanager
async def vendor_wires(images: str, videos: str) -> AsyncIterator[VendorWires]:
    """Wires to the vendors at these addresses for as long as the block runs."""
    async with vendor_wire(images) as to_images, vendor_wire(videos) as to_videos:
        yield VendorWires(to_images, to_videos)
