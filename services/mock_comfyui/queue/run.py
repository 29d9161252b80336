"""Run one prompt node by node, by its graph and the fault plan, and make its outputs."""

import io
import json
import math
import secrets
import string
from collections.abc import Callable
from hashlib import sha256
from typing import Any

from PIL import Image, UnidentifiedImageError

from services.mock_comfyui.folders import BadName, Folders, key_of, place_of
from services.mock_comfyui.pictures import ImageMaker, Wanted
from services.mock_comfyui.prompts.nodes import ANY, NodeType
from services.mock_comfyui.prompts.tasks import NodeCache, Output, Task, Work, shape_of
from services.mock_comfyui.prompts.validation import Graph
from services.mock_comfyui.queue.events import ExecutionEvents
from services.mock_comfyui.settings import NativeConfig
from services.mock_core.clock import Clock
from services.mock_core.runner import PlannedRun

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
        """Return what the node has made, None for one without output; raise NodeFailed."""
        node = task.graph[node_id]
        self._check_links(node)
        match node["class_type"]:
            case "LoadImage":
                self._check_picture(str(node["inputs"]["image"]))
                return None
            case "SaveImage":
                prefix = str(node["inputs"].get("filename_prefix", "ComfyUI"))
                return {"images": await self._save(task, node_id, prefix, "output")}
            case "SaveImageAdvanced":
                prefix = str(node["inputs"]["filename_prefix"])
                if node["inputs"].get("format") != "png":
                    raise NodeFailed("KeyError", "'bit_depth'")
                made = await self._save(task, node_id, prefix, "output", format_="png", tail="")
                return {"images": made}
            case "SaveAnimatedPNG":
                prefix = str(node["inputs"]["filename_prefix"])
                made = await self._save(task, node_id, prefix, "output", format_="png", most=1)
                return {"images": made}
            case "PreviewImage":
                letters = "".join(secrets.choice(string.ascii_lowercase) for _ in range(5))
                prefix = f"ComfyUI_temp_{letters}"
                return {"images": await self._save(task, node_id, prefix, "temp")}
            case "SaveAnimatedWEBP":
                prefix = str(node["inputs"]["filename_prefix"])
                made = await self._save(task, node_id, prefix, "output", format_="webp", most=1)
                return {"images": made, "animated": [True]}
            case "PreviewAny":
                return {"text": [_shown(node["inputs"].get("source"))]}
        return None

    def state_of(self, node: Graph) -> str:
        """Return what a node's result depends on beside its inputs: the bytes of the file it
        loads."""
        if node["class_type"] != "LoadImage":
            return ""
        file = self.folders.get(self.folders.annotated(str(node["inputs"]["image"])))
        return "" if file is None else sha256(file.body).hexdigest()

    def note_file(self, task: Task) -> None:
        """Tell the ledger of its first picture, made or cached."""
        for output in task.results.values():
            for image in output.get("images", ()):
                name = key_of(image["filename"], image["subfolder"], image["type"])
                file = self.folders.get(name)
                task.generation.file_name = name
                task.generation.sha256 = None if file is None else sha256(file.body).hexdigest()
                return

    async def _save(
        self,
        task: Task,
        node_id: str,
        prefix: str,
        folder: str,
        *,
        format_: str = "",
        tail: str = "_",
        most: int | None = None,
    ) -> list[dict[str, str]]:
        """Save one file for each picture of the batch, or for the `most` that the node makes."""
        shape = shape_of(task.graph, node_id, self.nodes)
        count = most or shape.batch
        config = self._config()
        format_ = format_ or (config.format if folder == "output" else "png")
        ending = _ENDINGS.get(format_, format_)
        try:
            place = place_of(prefix)
            first = self.folders.next_number(place.subfolder, place.stem, folder)
            names = [place.name(first + batch, f"{tail}.{ending}") for batch in range(count)]
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
                await self._maker.draw(wanted),
                f"image/{format_}",
                task.generation,
                seconds=config.write_seconds,
            )
        return [{"filename": it, "subfolder": place.subfolder, "type": folder} for it in names]

    def _check_links(self, node: Graph) -> None:
        """Fail on a value that was accepted in the place of a link."""
        for name, wanted in self.nodes[node["class_type"]].takes(node["inputs"]).items():
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
    # A stand-in does not compute values that come by a link.
    return "" if isinstance(value, list) else json.dumps(value)


def _chunks(task: Task) -> dict[str, str]:
    """Return what the real server writes into a picture: the whole graph, and its extra data."""
    extra = task.extra.get("extra_pnginfo")
    fields = extra if isinstance(extra, dict) else {}
    return {
        "prompt": json.dumps(task.graph),
        **{str(name): json.dumps(value) for name, value in fields.items()},
    }


# More steps than this are reported in strides.
_MOST_STEPS = 20


class Interrupted(Exception):
    """Somebody has requested its end."""


class Vanished(Exception):
    """It is forgotten in the middle, as by a restart."""


class PromptRun:
    """The run; nodes take their share of the time by their steps, and an interruption waits for the
    next one."""

    def __init__(
        self, task: Task, work: Work, planned: PlannedRun, *, clock: Clock, saver: Saver
    ) -> None:
        self._task = task
        self._work = work
        self._planned = planned
        self._clock = clock
        self._saver = saver
        self._strides = {
            node_id: min(steps_of(task, node_id, saver.nodes), _MOST_STEPS)
            for node_id in work.to_run
        }
        self.seconds = planned.seconds if self._strides else 0.0
        self._stride = self.seconds / max(sum(self._strides.values()), 1)
        self._gone = 0.0
        self._strikes_at = self.seconds * _strike_share(planned)

    async def to_its_end(self, events: ExecutionEvents, cache: NodeCache) -> None:
        """Return if it succeeds; raise Interrupted, NodeFailed or Vanished."""
        task, work = self._task, self._work
        for node_id in work.to_run:
            events.start_node(task, node_id)
            self._heed()
            await self._steps(node_id, events)
            output = await self._saver.output_of(task, node_id)
            if output is not None and node_id in task.outputs:
                task.results[node_id] = output
            cache.keep(work, node_id, output)
            events.finish_node(task, node_id, output)
        if self._strikes_at < math.inf:
            await self._strike()

    def _heed(self) -> None:
        if self._task.interrupted.is_set():
            raise Interrupted

    async def _steps(self, node_id: str, events: ExecutionEvents) -> None:
        strides = self._strides[node_id]
        steps = steps_of(self._task, node_id, self._saver.nodes)
        kind = self._saver.nodes[self._task.graph[node_id]["class_type"]]
        fields = kind.steps is not None
        for stride in range(1, strides + 1):
            await self._pass()
            if fields:
                value = steps * stride // strides
                events.step(self._task, node_id, value=value, steps=steps)
                if stride < strides:
                    self._heed()

    async def _pass(self) -> None:
        """Pass one stride, unless the fault plan strikes in the middle of it."""
        left = self._strikes_at - self._gone
        await self._clock.sleep(min(self._stride, left))
        self._gone += self._stride
        if left < self._stride:
            await self._strike()

    async def _strike(self) -> None:
        planned = self._planned
        if planned.stick_at is not None:
            await self._task.interrupted.wait()
            raise Interrupted
        if planned.vanish_at is not None:
            raise Vanished
        raise NodeFailed(planned.fail_kind, planned.fail_message)


def steps_of(task: Task, node_id: str, nodes: dict[str, NodeType]) -> int:
    node = task.graph[node_id]
    name = nodes[node["class_type"]].steps
    return 1 if name is None else max(int(node["inputs"][name]), 1)


def _strike_share(planned: PlannedRun) -> float:
    """Return the share of its time at which something is planned to go wrong."""
    for at in (planned.stick_at, planned.vanish_at, planned.fail_at):
        if at is not None:
            return at / 100
    return math.inf
