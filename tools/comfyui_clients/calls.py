"""What is asked of each client: graphs that a real server runs, and calls by the client's name."""

import sys
import time
from collections.abc import Callable
from typing import Any

Graph = dict[str, Any]
Asked = Callable[[str], object]
_CALLS: list[tuple[str, Asked]] = []
# Another one at each call, so that nothing is cached unless it is meant to be.
_unique = iter(range(int(time.time()) % 16_000_000, 1 << 24))


def call(client: str) -> Callable[[Asked], Asked]:
    """Note a function of the mock's address; its name says what is asked."""

    def noted(function: Asked) -> Asked:
        _CALLS.append((f"{client}: {function.__name__.strip('_')}", function))
        return function

    return noted


def unique() -> int:
    """A seed or a color that no other run has."""
    return next(_unique)


def empty(batch: int = 1) -> Graph:
    """Plain pictures, saved."""
    size = {"width": 64, "height": 64, "batch_size": batch, "color": unique()}
    return {
        "1": _node("EmptyImage", "Empty", **size),
        "2": _node("SaveImage", "Save Image", images=["1", 0], filename_prefix="public"),
    }


def text() -> Graph:
    """An output that is no file."""
    return {"1": _node("PreviewAny", "Preview", source=f"a fox {unique()}")}


def txt2img() -> Graph:
    """With a sampler, and so with progress."""
    sampler = {"seed": unique(), "steps": 4, "cfg": 8.0, "denoise": 1.0}
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


def saved(names: list[str], count: int) -> list[str]:
    """The same names, if they are so many pictures of a SaveImage."""
    if len(names) != count or not all(name.startswith("public_") for name in names):
        raise ValueError(f"these are not {count} saved pictures: {names}")
    return names


def run(url: str) -> int:
    """Ask all that was noted; how many calls failed."""
    failed = 0
    for name, function in _CALLS:
        try:
            said = f"ok    {name}: {function(url)}"
        except Exception as error:
            failed += 1
            said = f"FAILS {name}: {type(error).__name__}: {error}"
        sys.stdout.write(said[:160] + "\n")
    return failed


def _node(kind: str, title: str, **inputs: object) -> Graph:
    return {"class_type": kind, "inputs": inputs, "_meta": {"title": title}}
