"""A client of the native wire: graphs, a socket that remembers, and its frames in shorthand."""

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


def long_graph(blurs: int = 3, *, prefix: str = "long", early: bool = False) -> Json:
    """Several nodes that can be stopped between; `early` saves a picture before them."""
    graph = simple_graph(prefix=prefix)
    save = graph.pop("2")
    if early:
        graph["50"] = {
            "class_type": "SaveImage",
            "inputs": {"images": ["1", 0], "filename_prefix": "early"},
        }
    for number in range(2, blurs + 2):
        inputs = {"image": [str(number - 1), 0], "blur_radius": 15, "sigma": 5.0}
        graph[str(number)] = {"class_type": "ImageBlur", "inputs": inputs}
    save["inputs"]["images"] = [str(blurs + 1), 0]
    graph["99"] = save
    return graph


def sampler_graph(text: str = "一只猫", *, seed: int = 7, steps: int = 4) -> Json:
    """The usual seven nodes, by their usual numbers."""
    sampler = {
        "model": ["4", 0],
        "seed": seed,
        "steps": steps,
        "cfg": 8.0,
        "sampler_name": "euler",
        "scheduler": "normal",
        "positive": ["6", 0],
        "negative": ["7", 0],
        "latent_image": ["5", 0],
        "denoise": 1.0,
    }
    size = {"width": 512, "height": 256, "batch_size": 1}
    return {
        "3": {"class_type": "KSampler", "inputs": sampler},
        "4": {
            "class_type": "CheckpointLoaderSimple",
            "inputs": {"ckpt_name": "mock.safetensors"},
        },
        "5": {"class_type": "EmptyLatentImage", "inputs": size},
        "6": {"class_type": "CLIPTextEncode", "inputs": {"text": text, "clip": ["4", 1]}},
        "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "blurry", "clip": ["4", 1]}},
        "8": {"class_type": "VAEDecode", "inputs": {"samples": ["3", 0], "vae": ["4", 2]}},
        "9": {
            "class_type": "SaveImage",
            "inputs": {"images": ["8", 0], "filename_prefix": "gen"},
        },
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

    async def idle(self) -> list[Json]:
        """All up to the word that nothing is left in the queue."""
        await self.until("status", status={"exec_info": {"queue_remaining": 0}})
        return self.taken()

    async def finish(self) -> list[Json]:
        """All up to the very last word about a prompt."""
        await self.until("executing", node=None)
        return self.taken()

    async def hears_nothing(self) -> bool:
        """Whether nothing more has come, whatever the other side has sent by now."""
        await (await self.connection.ping())
        try:
            # A pong comes behind all that was sent before it.
            await asyncio.wait_for(self.connection.recv(), 0.001)
        except TimeoutError:
            return True
        return False

    def taken(self) -> list[Json]:
        """What has come since the last time."""
        taken, self.frames = self.frames, []
        return taken


@contextlib.asynccontextmanager
async def listening(service: Service, client_id: str = "me") -> AsyncIterator[Socket]:
    base = str(service.http.base_url).replace("http://", "ws://").rstrip("/")
    async with connect(f"{base}/ws?clientId={client_id}", proxy=None) as connection:
        socket = Socket(connection)
        await socket.until("status")
        socket.taken()
        yield socket


async def queue(service: Service, graph: Json, **members: Any) -> Json:
    reply = await service.post("/prompt", {"prompt": graph, **members})
    assert reply.status_code == 200, reply.text
    return dict(reply.json())


async def history_of(service: Service, prompt_id: str) -> Json:
    """Its entry, once there is one."""
    body = await service.until(f"/history/{prompt_id}", lambda it: it != {})
    return dict(body[prompt_id])


async def entry_of(service: Service, graph: Json, **members: Any) -> Json:
    """The history entry of a graph that is run to its end."""
    return await history_of(service, (await queue(service, graph, **members))["prompt_id"])


def told(frames: list[Json]) -> str:
    """All of them; `+1` stands for nodes that were told as finished before."""
    finished: set[str] = set()
    return " | ".join(_one(frame, finished) for frame in frames)


def _one(frame: Json, finished: set[str]) -> str:
    data: Any = frame["data"]
    match frame["type"]:
        case "status":
            return f"status {data['status']['exec_info']['queue_remaining']}"
        case "execution_cached":
            return f"cached {data['nodes']}"
        case "progress_state":
            return _states(data["nodes"], finished)
        case "progress":
            return f"progress {data['node']} {data['value']}/{data['max']}"
        case "executing":
            return f"executing {data['node']}" + ("" if "prompt_id" in data else " (node only)")
        case "executed":
            names = ", ".join(image["filename"] for image in data["output"].get("images", ()))
            return f"executed {data['node']} ({names})"
        case "execution_interrupted" | "execution_error":
            return f"{frame['type']} {data['node_id']}"
        case kind:
            return str(kind)


def _states(nodes: Json, finished: set[str]) -> str:
    old = [node_id for node_id in nodes if node_id in finished]
    shown = [
        f"{node_id}:{state['state'][0]}{state['value']:g}/{state['max']:g}"
        for node_id, state in nodes.items()
        if node_id not in finished
    ]
    finished |= {key for key, state in nodes.items() if state["state"] == "finished"}
    return " ".join(["ps", *([f"+{len(old)}"] if old else []), *shown])
