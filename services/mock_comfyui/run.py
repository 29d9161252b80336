"""Run one prompt node by node, by its graph and the fault plan: its events, and its picture."""

import asyncio
import json
import math
import posixpath
import re
import time
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from services.mock_comfyui.graphs import SERVER_FILE, Graph, is_number, needed, size_of
from services.mock_comfyui.pictures import ImageMaker, draw_picture
from services.mock_comfyui.settings import native_config
from services.mock_core.clock import milliseconds
from services.mock_core.files import FileStore
from services.mock_core.ledger import Generation
from services.mock_core.mock import Mock
from services.mock_core.runner import PlannedRun

Message = dict[str, Any]
FOLDERS = ("output", "temp")
# The tail of a file's name, by the type of the node that saves it, and its format; `SaveImage` has
# the configured one.
_SAVERS: dict[str, tuple[str, str | None]] = {
    "SaveImage": ("_", None),
    "PreviewImage": ("_", None),
    "SaveAnimatedPNG": ("_", "png"),
    "SaveAnimatedWEBP": ("_", "webp"),
    "SaveImageAdvanced": ("", "png"),
}
_ENDINGS = {"png": "png", "jpeg": "jpg", "webp": "webp"}
_SAMPLERS = ("KSampler", "KSamplerAdvanced")
# More steps than this are reported in strides.
_MOST_STEPS = 20
_NUMBER = re.compile(r"_(\d{1,9})[_.].*", re.DOTALL)


def key_of(filename: str, subfolder: str, folder: str) -> str:
    """Return the key of a file of `/view` in the file store."""
    path = f"{subfolder}/{filename}" if subfolder else filename
    return path if folder == "output" else f"{folder}:{path}"


class Hub:
    """The sockets by client id; a second one of an id replaces the first. Each gets its frames by a
    queue, and None when it is cut."""

    def __init__(self, mock: Mock) -> None:
        self._places: dict[str, asyncio.Queue[str | None]] = {}
        self._mock = mock

    def add(self, client_id: str) -> asyncio.Queue[str | None]:
        place = self._places[client_id] = asyncio.Queue()
        return place

    def remove(self, client_id: str, place: asyncio.Queue[str | None]) -> None:
        if self._places.get(client_id) is place:
            del self._places[client_id]

    def send(self, client_id: str | None, kind: str, data: Message) -> None:
        """Send to the socket of this client, if it has one; without a client id, to all."""
        is_deaf = native_config(self._mock).sockets == "stolen"
        for name, place in self._places.items():
            if client_id in (None, name) and not is_deaf:
                place.put_nowait(encode(kind, data))

    def drop_all(self) -> None:
        """Cut every connection, as a vendor that restarts does."""
        for place in self._places.values():
            place.put_nowait(None)
        self._places.clear()


def encode(kind: str, data: Message) -> str:
    return json.dumps({"type": kind, "data": data})


@dataclass(slots=True, eq=False)
class Task:
    """A queued prompt; `outputs` are the output nodes that are to run."""

    generation: Generation
    number: int
    graph: Graph
    outputs: list[str]
    extra: dict[str, Any]
    client_id: str
    # What the fault plan has decided, once it is queued.
    planned: PlannedRun = field(default_factory=lambda: PlannedRun(0))
    created: int = field(default_factory=lambda: milliseconds(time.time()))
    messages: list[list[Any]] = field(default_factory=list)
    # Nodes reported so far: node id -> (value, max)
    progress: dict[str, tuple[float, float]] = field(default_factory=dict)
    current: str | None = None
    executed: list[str] = field(default_factory=list)
    # What its output nodes have made so far.
    results: dict[str, Message] = field(default_factory=dict)
    # Takes effect at its next node or step.
    interrupted: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def id(self) -> str:
        return self.generation.id

    @property
    def queue_row(self) -> list[Any]:
        extra = {**self.extra, "create_time": self.created}
        return [self.number, self.id, self.graph, extra, self.outputs]


class NodeFailed(Exception):
    """A node failed; `kind` is the type of the server's exception."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Interrupted(Exception):
    """A client has interrupted the prompt."""


class Vanished(Exception):
    """The prompt is forgotten in the middle, as by a restart."""


class PromptRun:
    """A run. Nodes share the time by their steps, and an interruption waits for the next step."""

    def __init__(self, task: Task, hub: Hub, *, mock: Mock, maker: ImageMaker) -> None:
        planned = task.planned
        self._task = task
        self._hub = hub
        self._mock = mock
        self._maker = maker
        self._order = needed(task.graph, task.outputs)
        self._strides = {key: min(self._steps_of(key), _MOST_STEPS) for key in self._order}
        self.seconds = planned.seconds
        self._stride = self.seconds / sum(self._strides.values())
        self._gone = 0.0
        # When something is planned to go wrong.
        points = (planned.stick_at, planned.vanish_at, planned.fail_at)
        strikes_at = next((at / 100 for at in points if at is not None), math.inf)
        self._strikes_at = self.seconds * strikes_at

    async def to_its_end(self) -> None:
        """Run all nodes; raise Interrupted, NodeFailed or Vanished."""
        task = self._task
        self._record("execution_start")
        self._record("execution_cached", before={"nodes": []})
        for node_id in self._order:
            task.current = node_id
            self._report(node_id, 0.0, 1.0)
            node = {"node": node_id, "display_node": node_id, "prompt_id": task.id}
            self._send("executing", node)
            self._heed()
            await self._steps(node_id)
            output = await self._output_of(node_id)
            if output is not None and node_id in task.outputs:
                task.results[node_id] = output
            task.executed.append(node_id)
            if output is not None:
                executed = {"node": node_id, "display_node": node_id, "output": output}
                self._send("executed", {**executed, "prompt_id": task.id})
            most = task.progress[node_id][1]
            self._report(node_id, most, most, state="finished")
        if self._strikes_at < math.inf:
            await self._strike()
        self._record("execution_success")

    def interrupted(self) -> None:
        self._record("execution_interrupted", self._where())

    def error(self, *, kind: str, message: str) -> None:
        """Send as much detail as the real server does: server paths and a traceback."""
        where = self._where()
        inputs = self._task.graph[where["node_id"]].get("inputs", {})
        payload = {
            **where,
            "exception_message": message,
            "exception_type": kind,
            "traceback": [f'  File "{SERVER_FILE}", line 518, in execute\n'],
            "current_inputs": {k: [v] for k, v in inputs.items() if not isinstance(v, list)},
            "current_outputs": list(self._task.executed),
        }
        self._record("execution_error", payload)

    def after(self) -> None:
        """Send the last event after every prompt, however it ended."""
        self._send("executing", {"node": None, "prompt_id": self._task.id})

    def _heed(self) -> None:
        if self._task.interrupted.is_set():
            raise Interrupted

    def _steps_of(self, node_id: str) -> int:
        """Return how many steps a node reports; 1 if it reports none."""
        node = self._task.graph[node_id]
        steps = node["inputs"].get("steps")
        return steps if node["class_type"] in _SAMPLERS and is_number(steps) else 1

    async def _steps(self, node_id: str) -> None:
        strides, steps = self._strides[node_id], self._steps_of(node_id)
        for stride in range(1, strides + 1):
            # Pass one stride, unless the fault plan strikes in the middle of it.
            left = self._strikes_at - self._gone
            await self._mock.clock.sleep(min(self._stride, left))
            self._gone += self._stride
            if left < self._stride:
                await self._strike()
            if steps > 1:
                value = steps * stride // strides
                self._report(node_id, float(value), float(steps), state="running")
                step = {"value": value, "max": steps, "prompt_id": self._task.id, "node": node_id}
                self._send("progress", step)
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

    async def _output_of(self, node_id: str) -> Message | None:
        task, node, files = self._task, self._task.graph[node_id], self._mock.files
        if node["class_type"] not in _SAVERS:
            return None
        tail, format_ = _SAVERS[node["class_type"]]
        format_ = format_ or native_config(self._mock).format
        folder = "temp" if node["class_type"] == "PreviewImage" else "output"
        prefix = posixpath.normpath(str(node["inputs"].get("filename_prefix", "ComfyUI")))
        subfolder, stem = posixpath.split(prefix)
        number = _next_number(files, key_of(stem, subfolder, folder))
        name = f"{stem}_{number:05}{tail}.{_ENDINGS[format_]}"
        # What the real server writes into a picture: the whole graph, and its extra data.
        extra = task.extra.get("extra_pnginfo")
        chunks = {"prompt": task.graph, **(extra if isinstance(extra, dict) else {})}
        texts = {str(name): json.dumps(value) for name, value in chunks.items()}
        draw = partial(
            draw_picture,
            task.generation.prompt,
            "",
            task.id,
            size=size_of(task.graph, node_id),
            format_=format_,
            chunks=texts,
        )
        body, key = await self._maker.in_thread(draw), key_of(name, subfolder, folder)
        files.put(key, body, f"image/{format_}", task.generation)
        task.generation.file_name = key
        return {"images": [{"filename": name, "subfolder": subfolder, "type": folder}]}

    def _where(self) -> Message:
        node_id = self._task.current or self._task.outputs[0]
        kind = self._task.graph[node_id]["class_type"]
        return {"node_id": node_id, "node_type": kind, "executed": list(self._task.executed)}

    def _report(self, node_id: str, value: float, most: float, *, state: str = "") -> None:
        """Send the states of all nodes so far, one of them new."""
        task = self._task
        task.progress[node_id] = (value, most)
        nodes = {
            key: {
                "value": at,
                "max": end,
                "state": state if state and key == node_id else _state(at, end),
                "node_id": key,
                "prompt_id": task.id,
                "display_node_id": key,
                "parent_node_id": None,
                "real_node_id": key,
            }
            for key, (at, end) in task.progress.items()
        }
        self._send("progress_state", {"prompt_id": task.id, "nodes": nodes})

    def _record(
        self, kind: str, after: Message | None = None, *, before: Message | None = None
    ) -> None:
        """Send an event, and add it to the history; `before` comes before the id."""
        ids = {**(before or {}), "prompt_id": self._task.id}
        payload = {**ids, **(after or {}), "timestamp": milliseconds(time.time())}
        self._task.messages.append([kind, payload])
        self._send(kind, payload)

    def _send(self, kind: str, data: Message) -> None:
        self._hub.send(self._task.client_id, kind, data)


def _state(value: float, most: float) -> str:
    return "running" if value < most else "finished"


def _next_number(files: FileStore, stem: str) -> int:
    ends = (key.removeprefix(stem) for key in files.names() if key.startswith(stem))
    return max((int(found[1]) for end in ends if (found := _NUMBER.fullmatch(end))), default=0) + 1
