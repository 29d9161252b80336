"""Public clients of ComfyUI against the mock, by hand: what each of them makes of its native wire.

In an environment that has `comfy-api-simplified==1.6.0` and `comfyui-utils==0.0.1`, and nothing of
this project: `python tests/services/mock_comfyui/public_clients.py http://127.0.0.1:6889`.
"""

import asyncio
import importlib
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

_CALLS: list[tuple[str, Callable[[str], object]]] = []
Graph = dict[str, Any]
# Another one at each call, so that nothing is cached unless it is meant to be.
_unique = iter(range(int(time.time()) % 16_000_000, 1 << 24))


def _call(client: str) -> Callable[[Callable[[str], object]], Callable[[str], object]]:
    def noted(function: Callable[[str], object]) -> Callable[[str], object]:
        _CALLS.append((f"{client}: {function.__name__.strip('_')}", function))
        return function

    return noted


def _node(kind: str, title: str, **inputs: object) -> Graph:
    return {"class_type": kind, "inputs": inputs, "_meta": {"title": title}}


def _empty(batch: int = 1) -> Graph:
    color = next(_unique)
    size = {"width": 64, "height": 64, "batch_size": batch, "color": color}
    return {
        "1": _node("EmptyImage", "Empty", **size),
        "2": _node("SaveImage", "Save Image", images=["1", 0], filename_prefix="public"),
    }


def _txt2img() -> Graph:
    sampler = {"seed": next(_unique), "steps": 4, "cfg": 8.0, "denoise": 1.0}
    names = {"sampler_name": "euler", "scheduler": "normal"}
    links = {"model": ["4", 0], "positive": ["6", 0], "negative": ["7", 0]}
    latent = {"width": 512, "height": 512, "batch_size": 1}
    return {
        "3": _node("KSampler", "KSampler", **sampler, **names, **links, latent_image=["5", 0]),
        "4": _node("CheckpointLoaderSimple", "Load", ckpt_name="mock.safetensors"),
        "5": _node("EmptyLatentImage", "Latent", **latent),
        "6": _node("CLIPTextEncode", "Positive", text="a fox", clip=["4", 1]),
        "7": _node("CLIPTextEncode", "Negative", text="blurry", clip=["4", 1]),
        "8": _node("VAEDecode", "Decode", samples=["3", 0], vae=["4", 2]),
        "9": _node("SaveImage", "Save Image", images=["8", 0], filename_prefix="public"),
    }


def _simplified(url: str) -> Any:
    return importlib.import_module("comfy_api_simplified").ComfyApiWrapper(url)


def _pictures(url: str, graph: Graph) -> object:
    found = _simplified(url).queue_and_wait_images(graph, "Save Image")
    wrong = [name for name in found if not name.startswith("public_")]
    if wrong:
        raise ValueError(f"these are no saved pictures: {wrong}")
    return sorted(found)


@_call("comfy-api-simplified")
def _a_picture(url: str) -> object:
    return _pictures(url, _empty())


@_call("comfy-api-simplified")
def _the_same_again(url: str) -> object:
    graph = _empty()
    first = _pictures(url, graph)
    return first == _pictures(url, graph)


@_call("comfy-api-simplified")
def _a_text_to_image_run(url: str) -> object:
    return _pictures(url, _txt2img())


@_call("comfy-api-simplified")
def _a_batch_of_two(url: str) -> object:
    found = _pictures(url, _empty(batch=2))
    if not isinstance(found, list) or len(found) != 2:
        raise ValueError(f"not two: {found}")
    return found


@_call("comfy-api-simplified")
def _the_rest(url: str) -> object:
    client = _simplified(url)
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "up.png"
        picture.write_bytes(b"a picture, as far as an upload goes")
        uploaded = client.upload_image(picture)
    nodes = client.get_object_info("KSampler")["KSampler"]
    client.interrupt()
    return [uploaded["name"], nodes["name"], client.get_embeddings(), client.get_queue()]


def _utils(url: str, *graphs: Graph) -> list[tuple[Any, bool]]:
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


@_call("comfyui-utils")
def _a_run(url: str) -> object:
    return _utils(url, _empty())


@_call("comfyui-utils")
def _a_cached_run(url: str) -> object:
    graph = _empty()
    return [_utils(url, graph), _utils(url, graph)]


@_call("comfyui-utils")
def _a_run_with_a_sampler(url: str) -> object:
    return _utils(url, _txt2img())


@_call("comfyui-utils")
def _two_at_once(url: str) -> object:
    return _utils(url, _txt2img(), _txt2img())


def main(url: str) -> int:
    """One line for each call; the number of those that failed."""
    failed = 0
    for name, function in _CALLS:
        try:
            said = f"ok    {name}: {function(url)}"
        except Exception as error:
            failed += 1
            said = f"FAILS {name}: {type(error).__name__}: {error}"
        sys.stdout.write(said[:160] + "\n")
    return failed


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1]))
