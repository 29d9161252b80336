"""A prompt in the queue: its number, its graph, and the messages that its history will keep."""

import time
from dataclasses import dataclass, field
from typing import Any

from services.mock_comfyui.prompts.execution import Work
from services.mock_comfyui.prompts.validation import Nodes
from services.mock_core.ledger.generation import Generation
from services.mock_core.lib.times import milliseconds


@dataclass(slots=True, eq=False)
class Task:
    generation: Generation
    number: int
    work: Work
    extra: dict[str, Any]
    client_id: str | None
    created: int = field(default_factory=lambda: milliseconds(time.time()))
    messages: list[list[Any]] = field(default_factory=list)
    # Nodes told so far: node id -> (value, max)
    told: dict[str, tuple[float, float]] = field(default_factory=dict)
    current: str | None = None
    executed: list[str] = field(default_factory=list)
    # What its SaveImage nodes will write, by node.
    planned: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return self.generation.id

    @property
    def queue_row(self) -> list[Any]:
        return [self.number, self.id, self.work.graph, self.extra_data, self.work.outputs]

    @property
    def extra_data(self) -> dict[str, Any]:
        client = {} if self.client_id is None else {"client_id": self.client_id}
        return {**self.extra, **client, "create_time": self.created}

    @property
    def new_files(self) -> list[str]:
        """Keys of the pictures that it writes."""
        return _keys(self.planned)

    @property
    def old_files(self) -> list[str]:
        """Keys of the pictures that were written before and serve it as well."""
        return _keys(self.work.results)


def _keys(results: dict[str, dict[str, Any]]) -> list[str]:
    return [
        file_key(image["filename"], image["subfolder"], image["type"])
        for output in results.values()
        for image in output.get("images", ())
    ]


def file_key(filename: str, subfolder: str, folder: str) -> str:
    """Where the file store has what `/view` asks for."""
    path = f"{subfolder}/{filename}" if subfolder else filename
    return path if folder == "output" else f"{folder}:{path}"


def plan_outputs(task: Task, nodes: Nodes, counters: dict[str, int]) -> None:
    """Decide what each output node that runs will have written."""
    for node_id in task.work.to_run:
        node = task.work.graph[node_id]
        if not nodes[node["class_type"]].is_output:
            continue
        match node["class_type"]:
            case "SaveImage":
                prefix = str(node["inputs"].get("filename_prefix", "ComfyUI"))
                task.planned[node_id] = {"images": [_image(prefix, "output", counters)]}
            case "PreviewImage":
                task.planned[node_id] = {"images": [_image("ComfyUI_temp", "temp", counters)]}
            case _:
                task.planned[node_id] = {"text": [""]}


def _image(prefix: str, folder: str, counters: dict[str, int]) -> dict[str, str]:
    subfolder, _, stem = prefix.replace("\\", "/").strip("/").rpartition("/")
    key = f"{folder}:{subfolder}/{stem}"
    counters[key] = counters.get(key, 0) + 1
    name = f"{stem or 'ComfyUI'}_{counters[key]:05d}_.png"
    return {"filename": name, "subfolder": subfolder, "type": folder}
