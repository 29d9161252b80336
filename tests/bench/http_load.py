"""The cheapest HTTP client there is, so that a benchmark measures the server and not itself."""

import asyncio
from dataclasses import dataclass


@dataclass
class Connection:
    """One kept-alive connection; a reply must carry a Content-Length."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @classmethod
    async def open(cls, port: int) -> "Connection":
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def get(self, path: str) -> bytes:
        return await self._call(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())

    async def post(self, path: str, body: bytes) -> bytes:
        return (await self._post(path, body))[1]

    async def post_status(self, path: str, body: bytes) -> int:
        """The status of the reply, which is the second word of its head."""
        return int((await self._post(path, body))[0].split(maxsplit=2)[1])

    async def _post(self, path: str, body: bytes) -> tuple[bytes, bytes]:
        head = (
            f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        return await self._exchange(head.encode() + body)

    async def _call(self, request: bytes) -> bytes:
        return (await self._exchange(request))[1]

    async def _exchange(self, request: bytes) -> tuple[bytes, bytes]:
        self.writer.write(request)
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        return head, await self.reader.readexactly(length)

    def close(self) -> None:
        self.writer.close()
