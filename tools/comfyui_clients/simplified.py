"""comfy-api-simplified: a run is awaited by its socket, and its pictures are fetched by name."""

import importlib
import tempfile
from pathlib import Path
from typing import Any

from tools.comfyui_clients.calls import Graph, call, empty, saved, txt2img

_NAME = "comfy-api-simplified"


def _client(url: str) -> Any:
    return importlib.import_module("comfy_api_simplified").ComfyApiWrapper(url)


def _pictures(url: str, graph: Graph, count: int = 1) -> list[str]:
    return saved(sorted(_client(url).queue_and_wait_images(graph, "Save Image")), count)


@call(_NAME)
def _a_picture(url: str) -> object:
    return _pictures(url, empty())


@call(_NAME)
def _the_same_again(url: str) -> object:
    graph = empty()
    first = _pictures(url, graph)
    return first == _pictures(url, graph)


@call(_NAME)
def _a_text_to_image_run(url: str) -> object:
    return _pictures(url, txt2img())


@call(_NAME)
def _a_batch_of_two(url: str) -> object:
    return _pictures(url, empty(batch=2), count=2)


@call(_NAME)
def _the_rest(url: str) -> object:
    client = _client(url)
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "up.png"
        picture.write_bytes(b"a picture, as far as an upload goes")
        uploaded = client.upload_image(picture)
    nodes = client.get_object_info("KSampler")["KSampler"]
    client.interrupt()
    return [uploaded["name"], nodes["name"], client.get_embeddings(), client.get_queue()]
