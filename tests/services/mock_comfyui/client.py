"""A client of the native wire: graphs, and a socket that remembers."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from tests.services.mock_core.serving import Json, Service


def node(kind: str, **inputs: object) -> Json:
    return {"class_type": kind, "inputs": inputs}


def simple_graph(color: int = 16711680, prefix: str = "probe") -> Json:
    return {
        "1": node("EmptyImage", width=64, height=64, batch_size=1, color=color),
        "2": node("SaveImage", images=["1", 0], filename_prefix=prefix),
    }


def sampler_graph(text: str = "一只猫", *, steps: int = 4) -> Json:
    """The usual seven nodes, by their usual numbers."""
    links: Json = {
        "model": ["4", 0],
        "positive": ["6", 0],
        "negative": ["7", 0],
        "latent_image": ["5", 0],
    }
    values = {"seed": 7, "cfg": 8.0, "sampler_name": "euler", "scheduler": "normal", "denoise": 1.0}
    return {
        "3": node("KSampler", steps=steps, **links, **values),
        "4": node("CheckpointLoaderSimple", ckpt_name="mock.safetensors"),
        "5": node("EmptyLatentImage", width=512, height=256, batch_size=1),
        "6": node("CLIPTextEncode", text=text, clip=["4", 1]),
        "7": node("CLIPTextEncode", text="blurry", clip=["4", 1]),
        "8": node("VAEDecode", samples=["3", 0], vae=["4", 2]),
        "9": node("SaveImage", images=["8", 0], filename_prefix="cats/nap"),
    }


@dataclass
class Socket:
    """Reads until the test says what to wait for."""

    connection: ClientConnection
    frames: list[Json] = field(default_factory=list)

    async def until(self, kind: str, **data: Any) -> Json:
        """The next event of this kind whose data has these members."""
        while True:
            event = json.loads(await asyncio.wait_for(self.connection.recv(), 60))
            self.frames.append(event)
            if event["type"] == kind and data.items() <= event["data"].items():
                return dict(event)

    async def finish(self) -> list[Json]:
        """All up to the very last event of a prompt."""
        await self.until("executing", node=None)
        return self.frames

    async def hears_nothing(self) -> bool:
        """Whether nothing more has come, whatever the other side has sent by now."""
        await (await self.connection.ping())
        try:
            # A pong comes behind all that was sent before it.
            await asyncio.wait_for(self.connection.recv(), 0.001)
        except TimeoutError:
            return True
        return False


@contextlib.asynccontextmanager
async def listening(service: Service, client_id: str = "me") -> AsyncIterator[Socket]:
    base = str(service.http.base_url).replace("http://", "ws://").rstrip("/")
    async with connect(f"{base}/ws?clientId={client_id}", proxy=None) as connection:
        socket = Socket(connection)
        await socket.until("status")
        socket.frames.clear()
        yield socket


async def queue(service: Service, graph: Json, **members: Any) -> str:
    reply = await service.post("/prompt", {"prompt": graph, **members})
    assert reply.status_code == 200, reply.text
    return str(reply.json()["prompt_id"])


async def history_of(service: Service, prompt_id: str) -> Json:
    body = await service.until(f"/history/{prompt_id}", lambda it: it != {})
    return dict(body[prompt_id])


async def entry_of(service: Service, graph: Json, **members: Any) -> Json:
    return await history_of(service, await queue(service, graph, **members))
