"""comfy-catapult: reads each answer by a strict schema, and polls queue and history.

Its `PostQueue` and `PostFree` send a form, which a real server answers with 500 as the mock does.
"""

import asyncio
import importlib
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from tools.comfyui_clients.calls import Graph, call, empty, saved, txt2img

_NAME = "comfy-catapult"
_LISTS = ("SystemStats", "ObjectInfo", "Prompt", "History", "Queue")


def _asked(url: str, ask: Callable[[Any], Awaitable[object]]) -> object:
    async def run() -> object:
        client = importlib.import_module("comfy_catapult.api_client").ComfyAPIClient(url)
        async with client:
            return await asyncio.wait_for(ask(client), 60)

    return asyncio.run(run())


def _jobs(url: str, *graphs: Graph) -> list[list[str]]:
    """The pictures of jobs that were begun together."""
    module = importlib.import_module("comfy_catapult.catapult")

    async def job(catapult: Any, name: str, graph: Graph) -> list[str]:
        output = next(key for key, node in graph.items() if node["class_type"] == "SaveImage")
        _, end = await catapult.Catapult(
            job_id=name, prepared_workflow=graph, important=[output], use_future_api=True
        )
        return [each["filename"] for each in (await end)["outputs"][output]["images"]]

    async def ask(client: Any) -> list[list[str]]:
        async with module.ComfyCatapult(client, debug_path=None) as catapult:
            named = enumerate(graphs)
            return await asyncio.gather(*(job(catapult, f"job-{at}", it) for at, it in named))

    found = _asked(url, ask)
    assert isinstance(found, list)
    return found


@call(_NAME)
def _a_batch_of_two(url: str) -> object:
    (made,) = _jobs(url, empty(batch=2))
    return saved(made, 2)


@call(_NAME)
def _a_text_to_image_run(url: str) -> object:
    (made,) = _jobs(url, txt2img())
    return saved(made, 1)


@call(_NAME)
def _the_same_again(url: str) -> object:
    graph = empty()
    return _jobs(url, graph) == _jobs(url, graph)


@call(_NAME)
def _two_at_once(url: str) -> object:
    return [saved(made, 1) for made in _jobs(url, empty(), empty())]


@call(_NAME)
def _every_list(url: str) -> object:
    async def ask(client: Any) -> list[str]:
        return [type(await getattr(client, f"Get{name}")()).__name__ for name in _LISTS]

    return _asked(url, ask)


@call(_NAME)
def _a_refusal(url: str) -> object:
    async def ask(client: Any) -> object:
        graph = {"1": {"class_type": "SaveImage", "inputs": {}}}
        ticket = await client.PostPrompt(prompt_workflow=graph)
        return [each.type for each in ticket.node_errors["1"].errors]

    return _asked(url, ask)


@call(_NAME)
def _a_file_up_and_down(url: str) -> object:
    async def ask(client: Any) -> object:
        await client.PostInterrupt()
        files = importlib.import_module("comfy_catapult.remote_file_api_comfy")
        path = importlib.import_module("anyio").Path
        remote = files.ComfySchemeRemoteFileAPI(comfy_api_urls=[url], overwrite=True)
        with tempfile.TemporaryDirectory() as folder:
            up, down = Path(folder) / "up.png", Path(folder) / "down.png"
            up.write_bytes(b"a picture, as far as an upload goes")
            there = await remote.UploadFile(
                src_path=path(up), untrusted_dst_url=f"comfy+{url}/input/catapult/up.png"
            )
            await remote.DownloadFile(untrusted_src_url=there, dst_path=path(down))
            if up.read_bytes() != down.read_bytes():
                raise ValueError("it came back as another one")
        return there

    return _asked(url, ask)
