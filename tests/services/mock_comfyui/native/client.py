"""A client of the native wire: graphs, and a socket that remembers its events."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from tests.services.mock_core.serving import Json, Service


def simple_graph(color: int = 16711680, prefix: str = "probe") -> Json:
    size = {"width": 64, "height": 64, "batch_size": 1, "color": color}
    return {
        "1": {"class_type": "EmptyImage", "inputs": size},
        "2": {
            "class_type": "SaveImage",
            "inputs": {"images": ["1", 0], "filename_prefix": prefix},
        },
    }


@dataclass
class Socket:
    """Reads until it is told what to wait for."""

    connection: ClientConnection
    events: list[Json] = field(default_factory=list)
    binary: list[bytes] = field(default_factory=list)

    async def until(self, kind: str, **data: Any) -> Json:
        """The next event of this kind whose data has these members."""
        while True:
            message = await asyncio.wait_for(self.connection.recv(), 10)
            if isinstance(message, bytes):
                self.binary.append(message)
                continue
            event = json.loads(message)
            self.events.append(event)
            if event["type"] == kind and data.items() <= event["data"].items():
                return dict(event)

    async def finish(self) -> list[Json]:
        """All up to the very last word about a prompt."""
        await self.until("executing", node=None)
        told, self.events = self.events, []
        return told


@contextlib.asynccontextmanager
async def listening(service: Service, client_id: str = "me") -> AsyncIterator[Socket]:
    base = str(service.http.base_url).replace("http://", "ws://").rstrip("/")
    async with connect(f"{base}/ws?clientId={client_id}", proxy=None) as connection:
        socket = Socket(connection)
        await socket.until("status")
        yield socket


async def queue(service: Service, graph: Json, **members: Any) -> Json:
    reply = await service.post("/prompt", {"prompt": graph, **members})
    assert reply.status_code == 200, reply.text
    return dict(reply.json())


async def history_of(service: Service, prompt_id: str) -> Json:
    """Its entry, once there is one."""
    body = await service.until(f"/history/{prompt_id}", lambda it: it != {})
    return dict(body[prompt_id])
