"""comfyui-utils: a socket of its own for each run, and assertions about the frames."""

import asyncio
import importlib
from typing import Any
from urllib.parse import urlsplit

from tools.comfyui_clients.calls import Graph, call, empty, txt2img

_NAME = "comfyui-utils"


def _ends(url: str, *graphs: Graph) -> list[tuple[Any, bool]]:
    """Ends of runs that were submitted together: the output, and whether it counts as cached."""
    module = importlib.import_module("comfyui_utils.comfy")
    ends: list[tuple[Any, bool]] = []

    class Callbacks(module.Callbacks):  # type: ignore[misc, name-defined]
        async def queue_position(self, position: int) -> None: ...

        async def in_progress(self, node_id: int, progress: int, total: int) -> None: ...

        async def completed(self, outputs: Any, cached: bool) -> None:
            ends.append((outputs, cached))

    async def run() -> None:
        api = module.ComfyAPI(urlsplit(url).netloc)
        await asyncio.wait_for(
            asyncio.gather(*(api.submit(graph, Callbacks()) for graph in graphs)), 60
        )

    asyncio.run(run())
    return ends


@call(_NAME)
def _a_run(url: str) -> object:
    return _ends(url, empty())


@call(_NAME)
def _a_cached_run(url: str) -> object:
    graph = empty()
    return [_ends(url, graph), _ends(url, graph)]


@call(_NAME)
def _a_run_with_a_sampler(url: str) -> object:
    return _ends(url, txt2img())


@call(_NAME)
def _two_at_once(url: str) -> object:
    return _ends(url, txt2img(), txt2img())
