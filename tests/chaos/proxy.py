"""A TCP proxy on loopback whose wire can be cut, slowed, or made to lose what it carries."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

CHUNK = 64 * 1024


class Wire:
    """One listening port and where it leads; quiet until somebody disturbs it."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._open = asyncio.Event()
        self._open.set()
        self._losing = False
        self._delay = 0.0
        self.port = 0

    async def cut(self, seconds: float) -> None:
        """Break every connection at once, and refuse new ones for so long."""
        self._open.clear()
        try:
            self._break()
            await asyncio.sleep(seconds)
        finally:
            self._open.set()

    async def delay(self, seconds: float, by: float) -> None:
        """Hold each chunk back for `by` seconds, in both directions."""
        self._delay = by
        try:
            await asyncio.sleep(seconds)
        finally:
            self._delay = 0.0

    async def drop(self, seconds: float) -> None:
        """Lose whatever is sent while the connections seem to be up; then they break."""
        self._losing = True
        try:
            await asyncio.sleep(seconds)
        finally:
            self._losing = False
            self._break()

    def _break(self) -> None:
        for writer in list(self._writers):
            writer.transport.abort()

    async def close(self) -> None:
        """Break everything, and return when nothing is carried any more."""
        self._break()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection until either side ends it."""
        task = asyncio.create_task(self._connect(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._open.is_set():
            writer.transport.abort()
            return
        self._writers.add(writer)
        try:
            there, back = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            self._writers.discard(writer)
            return
        self._writers.add(back)
        try:
            await asyncio.gather(self._carry(reader, back), self._carry(there, writer))
        finally:
            for each in (writer, back):
                each.transport.abort()
            self._writers -= {writer, back}

    async def _carry(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while chunk := await source.read(CHUNK):
                if self._delay:
                    await asyncio.sleep(self._delay)
                if not self._losing:
                    target.write(chunk)
                    await target.drain()
        target.close()


@contextlib.asynccontextmanager
async def wire_to(host: str, port: int) -> AsyncIterator[Wire]:
    """A wire on a port of its own for as long as the block runs."""
    wire = Wire((host, port))
    server = await asyncio.start_server(wire.accept, "127.0.0.1", 0)
    wire.port = server.sockets[0].getsockname()[1]
    try:
        yield wire
    finally:
        server.close()
        await wire.close()
