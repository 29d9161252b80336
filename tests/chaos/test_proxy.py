"""The wire: it carries, breaks, loses and slows, and carries again."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from tests.chaos.proxy import Wire, wire_to

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Connect = Callable[[], Awaitable[Streams]]


@pytest.fixture
async def wire() -> AsyncIterator[Wire]:
    """A wire to somebody who echoes lines."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while line := await reader.readline():
                writer.write(line)
        writer.transport.abort()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with wire_to("127.0.0.1", server.sockets[0].getsockname()[1]) as wire:
        yield wire
    server.close()


@pytest.fixture
async def connect(wire: Wire) -> AsyncIterator[Connect]:
    """Opens connections through the wire; all are closed at the end."""
    opened: list[Streams] = []

    async def make() -> Streams:
        opened.append(await asyncio.open_connection("127.0.0.1", wire.port))
        return opened[-1]

    yield make
    for _, writer in opened:
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def echoed(streams: Streams, line: bytes) -> bytes:
    streams[1].write(line)
    return await streams[0].readline()


async def test_it_carries(connect: Connect) -> None:
    assert await echoed(await connect(), b"one\n") == b"one\n"


async def test_a_cut_breaks_what_there_is_and_refuses_what_comes(
    wire: Wire, connect: Connect
) -> None:
    before = await connect()
    await echoed(before, b"one\n")
    cutting = asyncio.create_task(wire.cut(60))
    assert await is_broken(before[0].readline())
    during = await connect()
    assert await is_broken(during[0].readline())
    cutting.cancel()
    await asyncio.gather(cutting, return_exceptions=True)

    assert await echoed(await connect(), b"two\n") == b"two\n"


async def is_broken(reply: Awaitable[bytes]) -> bool:
    try:
        return await reply == b""
    except OSError:
        return True


async def test_what_is_sent_while_it_drops_never_comes(wire: Wire, connect: Connect) -> None:
    streams = await connect()
    await echoed(streams, b"one\n")
    dropping = asyncio.create_task(wire.drop(60))
    await asyncio.sleep(0)
    streams[1].write(b"lost\n")
    reply = asyncio.create_task(streams[0].readline())
    done, _ = await asyncio.wait({reply}, timeout=0.2)
    assert not done
    dropping.cancel()
    await asyncio.gather(dropping, return_exceptions=True)

    assert await is_broken(reply)
    assert await echoed(await connect(), b"two\n") == b"two\n"


async def test_a_delay_holds_back_and_loses_nothing(wire: Wire, connect: Connect) -> None:
    streams = await connect()
    slowing = asyncio.create_task(wire.delay(60, by=0.05))
    await asyncio.sleep(0)
    began = asyncio.get_running_loop().time()

    assert await echoed(streams, b"one\n") == b"one\n"
    # Once on the way there, once on the way back.
    assert asyncio.get_running_loop().time() - began >= 0.1
    slowing.cancel()
    await asyncio.gather(slowing, return_exceptions=True)
