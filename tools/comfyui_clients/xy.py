"""comfyui-xy: HTTP alone, `/history/{id}` asked until it is there.

Its `upload_mask` sends no `original_ref`, which a real server answers with 500 as the mock does.
"""

import asyncio
import importlib
import tempfile
from pathlib import Path
from typing import Any

from tools.comfyui_clients.calls import call, empty, saved, text, txt2img

_NAME = "comfyui-xy"
_KEEN: dict[str, Any] = {"raise_on_error": True, "execution_timeout": 60}


def _client(url: str) -> Any:
    return importlib.import_module("comfyui_xy").ComfyUiClient(url=url, **_KEEN)


def _names(made: list[Any]) -> list[str]:
    """Of pictures that it could open."""
    return [each.filename for each in made if each.image is not None]


@call(_NAME)
def _a_batch_of_two(url: str) -> object:
    return saved(_names(_client(url).process_workflow(empty(batch=2))), 2)


@call(_NAME)
def _the_same_again(url: str) -> object:
    graph = empty()
    first = _client(url).process_workflow(graph, return_raw=True)
    again = _client(url).process_workflow(graph, return_raw=True)
    if not first or first != again:
        raise ValueError(f"not the same: {first}, {again}")
    return first


@call(_NAME)
def _a_text_to_image_run(url: str) -> object:
    return saved(_names(_client(url).process_workflow(txt2img())), 1)


@call(_NAME)
def _a_text(url: str) -> object:
    (made,) = _client(url).process_workflow(text())
    if not made.is_text:
        raise ValueError(f"no text: {made.output_type}")
    return made.text


@call(_NAME)
def _the_rest(url: str) -> object:
    client = _client(url)
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "xy.png"
        picture.write_bytes(b"a picture, as far as an upload goes")
        uploaded = client.upload_image(str(picture))
    asked = (client.get_history_all(), client.get_queue(), client.get_object_info("KSampler"))
    return [uploaded, client.interrupt(), *map(list, asked)]


@call(_NAME)
def _two_at_once(url: str) -> object:
    async def run() -> list[Any]:
        async with importlib.import_module("comfyui_xy").AsyncComfyUiClient(
            url=url, **_KEEN
        ) as client:
            runs = (client.process_workflow(empty()) for _ in range(2))
            return await asyncio.gather(*runs)

    return [saved(_names(made), 1) for made in asyncio.run(run())]
