"""Tells a prompt's run on the sockets, in the order that was captured from a real server."""

import time
from typing import Any

from services.mock_comfyui.pictures.drawing import preview
from services.mock_comfyui.prompts.execution import Output, Work
from services.mock_comfyui.prompts.task import Task
from services.mock_comfyui.prompts.validation import SERVER_FILE
from services.mock_comfyui.queue.sockets import Hub
from services.mock_core.ledger.generation import Generation, State
from services.mock_core.lib.times import milliseconds

_PREVIEWS = ("auto", "latent2rgb", "taesd")


class ExecutionEvents:
    """A prompt without a client id is told to everybody, though less of it."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def begin(self, task: Task, work: Work) -> None:
        self._send_and_record(task, "execution_start", {})
        self._send_and_record(task, "execution_cached", {"nodes": list(work.cached)})
        for node_id, output in work.results.items():
            if node_id in task.outputs:
                self._send_executed(task, node_id, output)
                task.told[node_id] = (1, 1)
                self._send_node_states(task)

    def start_node(self, task: Task, node_id: str) -> None:
        task.current = node_id
        task.told[node_id] = (0.0, 1.0)
        self._send_node_states(task)
        self._send(task, "executing", _node(task, node_id))

    def step(self, task: Task, node_id: str, *, value: int, steps: int) -> None:
        """A step of a node that takes several, and its preview where one was asked for."""
        task.told[node_id] = (float(value), float(steps))
        self._send_node_states(task, running=node_id)
        wanted = task.extra.get("preview_method") in _PREVIEWS
        if wanted:
            metadata = {**_places(task, node_id), "image_type": "image/jpeg"}
            self._hub.preview(task.client_id, metadata, preview())
        told = {"value": value, "max": steps, "prompt_id": task.id, "node": node_id}
        self._hub.send(task.client_id, "progress", told)
        if wanted:
            self._hub.plain_preview(task.client_id, preview())

    def finish_node(self, task: Task, node_id: str, output: Output | None) -> None:
        task.executed.append(node_id)
        if output is not None:
            self._send_executed(task, node_id, output)
        most = max(task.told[node_id][1], 1.0)
        task.told[node_id] = (most, most)
        self._send_node_states(task)

    def picture(self, task: Task, body: bytes) -> None:
        """A whole PNG on the socket, from the node that saves none."""
        self._hub.plain_preview(task.client_id, body, png=True)

    def success(self, task: Task) -> None:
        self._send_and_record(task, "execution_success", {})

    def interrupted(self, task: Task) -> None:
        """Told to everybody where there is no client, unlike other ends."""
        self._send_and_record(task, "execution_interrupted", _where(task), to_all=True)

    def error(self, task: Task, *, kind: str, message: str) -> None:
        """As talkative as the real one: server paths and a traceback come along."""
        where = _where(task)
        inputs = task.graph[where["node_id"]].get("inputs", {})
        known = task.work.cached if task.work is not None else []
        told = {
            **where,
            "exception_message": message,
            "exception_type": kind,
            "traceback": [f'  File "{SERVER_FILE}", line 518, in execute\n'],
            "current_inputs": {k: [v] for k, v in inputs.items() if not isinstance(v, list)},
            "current_outputs": [*known, *task.executed],
        }
        self._send_and_record(task, "execution_error", told)

    def after(self, task: Task) -> None:
        """The last word, after every prompt, however it ended."""
        self._send(task, "executing", {"node": None, "prompt_id": task.id})

    def tell_plain(self, task: Task, generation: Generation) -> None:
        """The messages that the history keeps of a generation of the plain wire."""
        self._send_and_record(task, "execution_start", {}, at=generation.started)
        self._send_and_record(task, "execution_cached", {"nodes": []}, at=generation.started)
        if generation.state is State.SUCCEEDED:
            image = {"filename": f"{generation.id}.png", "subfolder": "", "type": "output"}
            task.results["2"] = {"images": [image]}
            self.success(task)
        elif generation.state is State.CANCELLED:
            self.interrupted(task)
        else:
            self.error(task, kind="RuntimeError", message=f"{generation.error}\n")

    def _send_executed(self, task: Task, node_id: str, output: Output) -> None:
        told = {"node": node_id, "display_node": node_id, "output": output}
        self._send(task, "executed", {**told, "prompt_id": task.id})

    def _send_node_states(self, task: Task, *, running: str | None = None) -> None:
        nodes = {
            node_id: {
                "value": value,
                "max": most,
                "state": "running" if node_id == running or value < most else "finished",
                **_places(task, node_id),
            }
            for node_id, (value, most) in task.told.items()
        }
        told = {"prompt_id": task.id, "nodes": nodes}
        self._hub.send(task.client_id, "progress_state", told)

    def _send_and_record(
        self,
        task: Task,
        kind: str,
        data: dict[str, Any],
        *,
        to_all: bool = False,
        at: float | None = None,
    ) -> None:
        """Goes into the history too, whoever listens."""
        stamp = milliseconds(time.time() if at is None else at)
        first = {"nodes": data["nodes"]} if "nodes" in data else {}
        rest = {name: value for name, value in data.items() if name != "nodes"}
        told = {**first, "prompt_id": task.id, **rest, "timestamp": stamp}
        task.messages.append([kind, told])
        if to_all:
            self._hub.send(task.client_id, kind, told)
        else:
            self._send(task, kind, told)

    def _send(self, task: Task, kind: str, data: dict[str, Any]) -> None:
        if task.client_id is not None:
            self._hub.send(task.client_id, kind, data)


def _node(task: Task, node_id: str) -> dict[str, Any]:
    return {"node": node_id, "display_node": node_id, "prompt_id": task.id}


def _places(task: Task, node_id: str) -> dict[str, Any]:
    return {
        "node_id": node_id,
        "prompt_id": task.id,
        "display_node_id": node_id,
        "parent_node_id": None,
        "real_node_id": node_id,
    }


def _where(task: Task) -> dict[str, Any]:
    node_id = task.current or task.outputs[0]
    kind = task.graph[node_id]["class_type"]
    return {"node_id": node_id, "node_type": kind, "executed": list(task.executed)}
