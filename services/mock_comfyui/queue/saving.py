"""What output nodes make: files in their folders, texts, pictures on the socket."""

import io
import json
import secrets
import string
from collections.abc import Callable
from hashlib import sha256
from typing import Any

from PIL import Image, UnidentifiedImageError

from services.mock_comfyui.config import NativeConfig
from services.mock_comfyui.folders.folders import Folders, key_of
from services.mock_comfyui.folders.names import BadName, place_of
from services.mock_comfyui.pictures.maker import ImageMaker, Wanted
from services.mock_comfyui.prompts.execution import Output
from services.mock_comfyui.prompts.nodes import ANY, NodeType
from services.mock_comfyui.prompts.shapes import shape_of
from services.mock_comfyui.prompts.task import Task
from services.mock_comfyui.prompts.validation import Graph

_UNREADABLE = "cannot identify image file '/opt/ComfyUI/input/{}'"
_ENDINGS = {"png": "png", "jpeg": "jpg", "webp": "webp"}


class NodeFailed(Exception):
    """A node raises; `kind` is the type of the server's exception."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Saver:
    def __init__(
        self,
        nodes: dict[str, NodeType],
        folders: Folders,
        maker: ImageMaker,
        config: Callable[[], NativeConfig],
    ) -> None:
        self.nodes = nodes
        self.folders = folders
        self._maker = maker
        self._config = config

    async def output_of(self, task: Task, node_id: str) -> Output | None:
        """What the node has made, None for one that makes no output; NodeFailed."""
        node = task.graph[node_id]
        self._check_links(node)
        match node["class_type"]:
            case "LoadImage":
                self._check_picture(str(node["inputs"]["image"]))
                return None
            case "SaveImage":
                prefix = str(node["inputs"].get("filename_prefix", "ComfyUI"))
                return {"images": await self._save(task, node_id, prefix, "output")}
            case "PreviewImage":
                letters = "".join(secrets.choice(string.ascii_lowercase) for _ in range(5))
                prefix = f"ComfyUI_temp_{letters}"
                return {"images": await self._save(task, node_id, prefix, "temp")}
            case "SaveAnimatedWEBP":
                prefix = str(node["inputs"]["filename_prefix"])
                made = await self._save(task, node_id, prefix, "output", "webp")
                return {"images": made, "animated": [True]}
            case "SaveLatent":
                prefix = str(node["inputs"]["filename_prefix"])
                return {"latents": await self._save(task, node_id, prefix, "output", "latent")}
            case "PreviewAny":
                return {"text": [_shown(node["inputs"].get("source"))]}
        return None

    async def pictures(self, task: Task, node_id: str) -> list[bytes]:
        """What a node sends on the socket instead of saving it."""
        if task.graph[node_id]["class_type"] != "SaveImageWebsocket":
            return []
        shape = shape_of(task.graph, node_id, self.nodes)
        text = task.generation.prompt
        return [
            await self._maker.draw(Wanted(text, f"{node_id}{batch}", shape.size))
            for batch in range(shape.batch)
        ]

    def state_of(self, node: Graph) -> str:
        """What a node's result depends on beside its inputs: the bytes of the file it loads."""
        if node["class_type"] != "LoadImage":
            return ""
        file = self.folders.get(self.folders.annotated(str(node["inputs"]["image"])))
        return "" if file is None else sha256(file.body).hexdigest()

    def note_file(self, task: Task) -> None:
        """Tell the ledger of the first picture that it has, made or cached."""
        for output in task.results.values():
            for image in output.get("images", ()):
                name = key_of(image["filename"], image["subfolder"], image["type"])
                file = self.folders.get(name)
                task.generation.file_name = name
                task.generation.sha256 = None if file is None else sha256(file.body).hexdigest()
                return

    async def _save(
        self, task: Task, node_id: str, prefix: str, folder: str, format_: str = ""
    ) -> list[dict[str, str]]:
        """One file for each picture of the batch, but for formats that have room for all."""
        shape = shape_of(task.graph, node_id, self.nodes)
        count = 1 if format_ else shape.batch
        config = self._config()
        format_ = format_ or (config.format if folder == "output" else "png")
        ending = _ENDINGS.get(format_, format_)
        try:
            place = place_of(prefix, size=shape.size)
            first = self.folders.next_number(place.subfolder, place.stem, folder)
            names = [place.name(first + batch, batch, ending) for batch in range(count)]
        except BadName as error:
            raise NodeFailed(error.kind, str(error)) from error
        for batch, name in enumerate(names):
            wanted = Wanted(
                text=task.generation.prompt,
                salt=f"{task.work.signatures[node_id] if task.work else ''}{batch or ''}",
                size=shape.size,
                format=format_,
                chunks=_chunks(task),
            )
            await self.folders.write(
                key_of(name, place.subfolder, folder),
                await self._maker.draw(wanted) if format_ != "latent" else bytes(64),
                f"image/{format_}" if format_ != "latent" else "application/octet-stream",
                task.generation,
                seconds=config.write_seconds,
            )
        return [{"filename": it, "subfolder": place.subfolder, "type": folder} for it in names]

    def _check_links(self, node: Graph) -> None:
        """What was let through in the place of a link is of no use to the node."""
        for name, wanted in self.nodes[node["class_type"]].inputs.items():
            value = node["inputs"].get(name, [])
            if wanted.linked and wanted.kind != ANY and not isinstance(value, list):
                kind = type(value).__name__
                message = f"'{kind}' object has no attribute 'shape'"
                raise NodeFailed("AttributeError", message)

    def _check_picture(self, name: str) -> None:
        file = self.folders.get(self.folders.annotated(name))
        try:
            Image.open(io.BytesIO(file.body if file is not None else b"")).load()
        except (UnidentifiedImageError, OSError, SyntaxError) as error:
            message = _UNREADABLE.format(name)
            raise NodeFailed("PIL.UnidentifiedImageError", message) from error


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return value
    # What comes by a link is nothing that a stand-in computes.
    return "" if isinstance(value, list) else json.dumps(value)


def _chunks(task: Task) -> dict[str, str]:
    """What the real server writes into a picture: the whole graph, and all that came with it."""
    extra = task.extra.get("extra_pnginfo")
    told = extra if isinstance(extra, dict) else {}
    return {
        "prompt": json.dumps(task.graph),
        **{str(name): json.dumps(value) for name, value in told.items()},
    }
