"""Run one prompt node by node, by its graph and the fault plan, and make its outputs."""

import io
import json
import math
import posixpath
import secrets
import string
from functools import partial
from hashlib import sha256

from PIL import Image, UnidentifiedImageError

from services.mock_comfyui.folders import LONGEST, key_of, load, next_number
from services.mock_comfyui.pictures import ImageMaker, draw_picture
from services.mock_comfyui.prompts.nodes import ANY, NodeType
from services.mock_comfyui.prompts.tasks import NodeCache, Output, Task, shape_of
from services.mock_comfyui.prompts.validation import Graph
from services.mock_comfyui.queue.events import RunEvents
from services.mock_comfyui.settings import native_config
from services.mock_core.clock import Clock
from services.mock_core.mock import Mock

_ROOT = "/opt/ComfyUI/output"
# In so many parts a slow file is written; the first has no byte.
_PARTS = 8
_ENDINGS = {"png": "png", "jpeg": "jpg", "webp": "webp"}


class NodeFailed(Exception):
    """A node failed; `kind` is the type of the server's exception."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Saver:
    def __init__(self, nodes: dict[str, NodeType], mock: Mock, maker: ImageMaker) -> None:
        self.nodes = nodes
        self._mock = mock
        self._files = mock.files
        self._maker = maker

    async def output_of(self, task: Task, node_id: str) -> Output | None:
        """Return the output of a node, or None; raise NodeFailed."""
        node = task.graph[node_id]
        inputs = node["inputs"]
        # Some values were accepted in the place of a link.
        for name, wanted in self.nodes[node["class_type"]].takes(inputs).items():
            value = inputs.get(name, [])
            if wanted.linked and wanted.kind != ANY and not isinstance(value, list):
                message = f"'{type(value).__name__}' object has no attribute 'shape'"
                raise NodeFailed("AttributeError", message)
        prefix = str(inputs.get("filename_prefix", "ComfyUI"))
        match node["class_type"]:
            case "LoadImage":
                name = str(inputs["image"])
                try:
                    Image.open(io.BytesIO(load(self._files, name) or b"")).load()
                except (UnidentifiedImageError, OSError, SyntaxError) as error:
                    message = f"cannot identify image file '/opt/ComfyUI/input/{name}'"
                    raise NodeFailed("PIL.UnidentifiedImageError", message) from error
            case "SaveImage":
                return await self._save(task, node_id, prefix, native_config(self._mock).format)
            case "SaveImageAdvanced":
                if inputs.get("format") != "png":
                    raise NodeFailed("KeyError", "'bit_depth'")
                return await self._save(task, node_id, prefix, tail="")
            case "SaveAnimatedPNG":
                return await self._save(task, node_id, prefix, most=1)
            case "SaveAnimatedWEBP":
                made = await self._save(task, node_id, prefix, "webp", most=1)
                return {**made, "animated": [True]}
            case "PreviewImage":
                letters = "".join(secrets.choice(string.ascii_lowercase) for _ in range(5))
                return await self._save(task, node_id, f"ComfyUI_temp_{letters}", folder="temp")
            case "PreviewAny":
                shown = inputs.get("source")
                # A stand-in does not compute values that come by a link.
                other = "" if isinstance(shown, list) else json.dumps(shown)
                return {"text": [shown if isinstance(shown, str) else other]}
        return None

    def state_of(self, node: Graph) -> str:
        """Return what a node's result depends on besides its inputs: the bytes of the file that it
        loads."""
        if node["class_type"] != "LoadImage":
            return ""
        return sha256(load(self._files, str(node["inputs"]["image"])) or b"").hexdigest()

    def note_file(self, task: Task) -> None:
        """Record the first picture in the ledger, made or cached."""
        for output in task.results.values():
            for image in output.get("images", ()):
                name = key_of(image["filename"], image["subfolder"], image["type"])
                file = self._files.get(name)
                task.generation.file_name = name
                task.generation.sha256 = None if file is None else sha256(file.body).hexdigest()
                return

    async def _save(
        self,
        task: Task,
        node_id: str,
        prefix: str,
        format_: str = "png",
        *,
        folder: str = "output",
        tail: str = "_",
        most: int | None = None,
    ) -> Output:
        """Save one file for each picture of the batch, or for the `most` that the node makes."""
        size, batch = shape_of(task.graph, node_id, self.nodes)
        subfolder, stem = _place_of(prefix)
        first = next_number(self._files, subfolder, stem, folder)
        numbers = range(first, first + (most or batch))
        names = [f"{stem}_{number:05}{tail}.{_ENDINGS[format_]}" for number in numbers]
        for name in names:
            if len(name.encode("utf-8", "replace")) > LONGEST:
                message = f"[Errno 36] File name too long: '{_ROOT}/{name}'"
                raise NodeFailed("OSError", message)
        # What the real server writes into a picture: the whole graph, and its extra data.
        extra = task.extra.get("extra_pnginfo")
        chunks = {"prompt": task.graph, **(extra if isinstance(extra, dict) else {})}
        texts = {str(name): json.dumps(value) for name, value in chunks.items()}
        for number, name in enumerate(names):
            salt = f"{task.work.signatures[node_id]}{number or ''}"
            draw = partial(draw_picture, task.generation.prompt, "", salt, size=size)
            body = await self._maker.in_thread(partial(draw, format_=format_, chunks=texts))
            key, seconds = key_of(name, subfolder, folder), native_config(self._mock).write_seconds
            # An abort leaves a part of it.
            for part in range(_PARTS if seconds else 0):
                half_written = body[: len(body) * part // _PARTS]
                self._files.put(key, half_written, f"image/{format_}", task.generation)
                await self._mock.clock.sleep(seconds / _PARTS)
            self._files.put(key, body, f"image/{format_}", task.generation)
        images = [{"filename": it, "subfolder": subfolder, "type": folder} for it in names]
        return {"images": images}


def _place_of(prefix: str) -> tuple[str, str]:
    """Return subfolder and stem of a prefix; raise NodeFailed for one outside the output folder."""
    subfolder, stem = posixpath.split(posixpath.normpath(prefix))
    if not subfolder.startswith("/") and subfolder.split("/")[0] != "..":
        return subfolder, stem
    full = posixpath.normpath(posixpath.join(_ROOT, subfolder))
    raise NodeFailed(
        "Exception",
        "**** ERROR: Saving image outside the output folder is not allowed."
        f"\n full_output_folder: {full}\n         output_dir: {_ROOT}"
        f"\n         commonpath: {posixpath.commonpath((_ROOT, full))}",
    )


# More steps than this are reported in strides.
_MOST_STEPS = 20


class Interrupted(Exception):
    """A client has interrupted the prompt."""


class Vanished(Exception):
    """The prompt is forgotten in the middle, as by a restart."""


class PromptRun:
    """A run. Nodes share the time by their steps, and an interruption waits for the next step."""

    def __init__(self, task: Task, events: RunEvents, *, clock: Clock, saver: Saver) -> None:
        planned = task.planned
        self._task = task
        self._events = events
        self._clock = clock
        self._saver = saver
        self._strides = {
            node_id: min(self._steps_of(node_id), _MOST_STEPS) for node_id in task.work.to_run
        }
        self.seconds = planned.seconds if self._strides else 0.0
        self._stride = self.seconds / max(sum(self._strides.values()), 1)
        self._gone = 0.0
        # When something is planned to go wrong.
        points = (planned.stick_at, planned.vanish_at, planned.fail_at)
        strikes_at = next((at / 100 for at in points if at is not None), math.inf)
        self._strikes_at = self.seconds * strikes_at

    async def to_its_end(self, cache: NodeCache) -> None:
        """Run all nodes; raise Interrupted, NodeFailed or Vanished."""
        task = self._task
        for node_id in task.work.to_run:
            self._events.start_node(node_id)
            self._heed()
            await self._steps(node_id)
            output = await self._saver.output_of(task, node_id)
            if output is not None and node_id in task.outputs:
                task.results[node_id] = output
            cache.keep(task.work, node_id, output)
            self._events.finish_node(node_id, output)
        if self._strikes_at < math.inf:
            await self._strike()

    def _heed(self) -> None:
        if self._task.interrupted.is_set():
            raise Interrupted

    def _steps_of(self, node_id: str) -> int:
        node = self._task.graph[node_id]
        name = self._saver.nodes[node["class_type"]].steps
        return 1 if name is None else max(int(node["inputs"][name]), 1)

    async def _steps(self, node_id: str) -> None:
        strides, steps = self._strides[node_id], self._steps_of(node_id)
        kind = self._saver.nodes[self._task.graph[node_id]["class_type"]]
        for stride in range(1, strides + 1):
            # Pass one stride, unless the fault plan strikes in the middle of it.
            left = self._strikes_at - self._gone
            await self._clock.sleep(min(self._stride, left))
            self._gone += self._stride
            if left < self._stride:
                await self._strike()
            if kind.steps is not None:
                self._events.step(node_id, value=steps * stride // strides, steps=steps)
                if stride < strides:
                    self._heed()

    async def _strike(self) -> None:
        planned = self._task.planned
        if planned.stick_at is not None:
            await self._task.interrupted.wait()
            raise Interrupted
        if planned.vanish_at is not None:
            raise Vanished
        raise NodeFailed(planned.fail_kind, planned.fail_message)
