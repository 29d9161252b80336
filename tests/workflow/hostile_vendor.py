"""A vendor's address where single jobs get broken bytes, and all others the mock behind it."""

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from websockets.utils import accept_key

from services.worker.graphs.plan import prompt_id_of

# Writes what a client gets instead of an answer; the connection is closed behind it.
Trick = Callable[[asyncio.StreamWriter], Awaitable[None]]
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_SUBMIT = re.compile(rb"POST /(img/submit|video/submit|api/prompt|v1/videos/)")
_OURS = re.compile(rb"job-[0-9a-z]+\.(image|video)\.\d")


@dataclass(frozen=True)
class Case:
    """What one job meets: at its `submit`, at all that is asked about it afterwards (`status`), or
    at its `socket`; one trick after the other, and again, or the `last` one for good."""

    where: str
    tricks: Mapping[str, Trick]
    last: Trick | None = None


@dataclass
class HostileVendor:
    """`cases` by a name in a job's prompt."""

    mock: str
    cases: Mapping[str, Case]
    # By case: the tricks that were played, in order.
    played: dict[str, list[str]] = field(default_factory=dict)
    url: str = ""
    _ids: dict[bytes, str] = field(default_factory=dict)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with _closing(writer):
            head = await reader.readuntil(b"\r\n\r\n")
            length = _LENGTH.search(head)
            body = await reader.readexactly(int(length[1])) if length else b""
            name = self._case(head, body)
            if name is None:
                await self._pass_on(head + body, reader, writer)
            else:
                case, played = self.cases[name], self.played.setdefault(name, [])
                if case.where == "socket":
                    writer.write(_opened(head))
                if case.last is not None and len(played) == len(case.tricks):
                    await case.last(writer)
                else:
                    trick = list(case.tricks)[len(played) % len(case.tricks)]
                    played.append(trick)
                    await case.tricks[trick](writer)

    def _case(self, head: bytes, body: bytes) -> str | None:
        line = head.split(b"\r\n", 1)[0]
        if _SUBMIT.match(line):
            name = next((each for each in self.cases if each.encode() in body), None)
            ours = _OURS.search(body)
            if name and ours:
                # A look-up before the submit has to find nothing, as that of any other one.
                self._ids[ours[0]] = self._ids[prompt_id_of(ours[0].decode()).encode()] = name
            return name if name and self.cases[name].where == "submit" else None
        name = next((each for known, each in self._ids.items() if known in line), None)
        where = "socket" if line.startswith(b"GET /ws") else "status"
        return name if name and self.cases[name].where == where else None

    async def _pass_on(
        self, request: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """One request for each connection, so that each is looked at; a socket as it is."""
        if b"upgrade: websocket" not in request.lower():
            request = request.replace(b"\r\n", b"\r\nConnection: close\r\n", 1)
        at = urlsplit(self.mock)
        theirs, there = await asyncio.open_connection(at.hostname, at.port)
        async with _closing(there):
            there.write(request)
            sending = asyncio.create_task(_copy(reader, there))
            try:
                await _copy(theirs, writer)
            finally:
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)


def _opened(head: bytes) -> bytes:
    key = re.search(rb"\r\nsec-websocket-key: *(\S+)", head, re.IGNORECASE)
    return (
        "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {accept_key(key[1].decode() if key else '')}\r\n\r\n"
    ).encode()


@asynccontextmanager
async def _closing(writer: asyncio.StreamWriter) -> AsyncIterator[None]:
    """Closed at the end; a client that goes is no failure."""
    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
        try:
            yield
        finally:
            writer.close()
            await writer.wait_closed()


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while part := await source.read(64 * 1024):
        sink.write(part)
        await sink.drain()


@asynccontextmanager
async def hostile_vendor(mock: str, cases: Mapping[str, Case]) -> AsyncIterator[HostileVendor]:
    """One before the mock at this address, for as long as the block runs."""
    vendor = HostileVendor(mock, cases)
    server = await asyncio.start_server(vendor.serve, "127.0.0.1", 0)
    vendor.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield vendor
    finally:
        server.close()
        for task in vendor.tasks:
            task.cancel()
        await asyncio.gather(*vendor.tasks, return_exceptions=True)


def body(content: bytes, *, status: int = 200, head: str = "") -> Trick:
    async def play(writer: asyncio.StreamWriter) -> None:
        writer.write(
            f"HTTP/1.1 {status} x\r\nContent-Type: application/json\r\nConnection: close\r\n"
            f"Content-Length: {len(content)}\r\n{head}\r\n".encode()
            + content
        )
        await writer.drain()

    return play


def told(**members: object) -> Trick:
    """A whole answer of a vendor's, in the shapes of all wires at once."""
    return body(json.dumps(members | {"code": 0, "data": members}).encode())


def raw(first: bytes, again: bytes = b"") -> Trick:
    """Bytes as they are; and others again and again, for as long as anybody takes them."""

    async def play(writer: asyncio.StreamWriter) -> None:
        writer.write(first)
        while again:
            writer.write(again)
            await writer.drain()

    return play
