"""comfy-script: makes functions of all of a server's nodes, and hears its runs by one socket."""

import importlib
from typing import Any

from tools.comfyui_clients.calls import call, unique

_NAME = "comfy-script"


def _runtime() -> Any:
    return importlib.import_module("comfy_script.runtime")


def _node(name: str, *inputs: object) -> Any:
    return _runtime().node.get(name)(*inputs)


def _empty(batch: int = 1) -> Any:
    return _node("SaveImage", _node("EmptyImage", 64, 64, batch, unique()), "public")


def _sizes(output: Any, count: int) -> list[tuple[int, int]]:
    """Of the pictures, which it fetches and opens."""
    pictures = list(output.wait().wait())
    if len(pictures) != count:
        raise ValueError(f"not {count}: {pictures}")
    return [picture.size for picture in pictures]


@call(_NAME)
def _load(url: str) -> object:
    _runtime().load(url)
    return f"{len(_runtime().node.nodes)} nodes"


@call(_NAME)
def _a_batch_of_two(_: str) -> object:
    with _runtime().Workflow():
        output = _empty(batch=2)
    return _sizes(output, 2)


@call(_NAME)
def _a_text_to_image_run(_: str) -> object:
    with _runtime().Workflow():
        model, clip, vae = _node("CheckpointLoaderSimple", "mock.safetensors")
        words = (_node("CLIPTextEncode", each, clip) for each in ("a fox", "blurry"))
        latent = _node("EmptyLatentImage", 512, 512, 1)
        sampler = (model, unique(), 4, 8.0, "euler", "normal", *words, latent, 1.0)
        output = _node("SaveImage", _node("VAEDecode", _node("KSampler", *sampler), vae), "public")
    return _sizes(output, 1)


@call(_NAME)
def _two_in_the_queue(_: str) -> object:
    tasks = [_runtime().queue.put(_empty()) for _ in range(2)]
    return [str(task) for task in tasks if task.wait()]


@call(_NAME)
def _a_preview(_: str) -> object:
    return _sizes(_node("PreviewImage", _node("EmptyImage", 64, 64, 1, unique())), 1)


@call(_NAME)
def _the_rest(_: str) -> object:
    _runtime().queue.cancel_all()
    return importlib.import_module("comfy_script.client").get_embeddings()
