"""Tells a prompt's run on the sockets, in the order that was captured from a real server."""

import time
from typing import Any

from services.mock_comfyui.pictures.drawing import preview
from services.mock_comfyui.prompts.task import Task
from services.mock_comfyui.prompts.validation import SERVER_FILE, Nodes
from services.mock_comfyui.queue.sockets import Hub
from services.mock_core.ledger.generation import State
from services.mock_core.lib.clock import Clock
from services.mock_core.lib.times import milliseconds

# More steps than this are told in strides.
_MOST_STEPS = 20


class ExecutionEvents:
    """Without a client id only the states of the nodes are told, and to everybody."""

    def __init__(self, hub: Hub, clock: Clock, nodes: Nodes) -> None:
        self._hub = hub
        self._clock = clock
        self._nodes = nodes

    def begin(self, task: Task) -> None:
        self._send_and_record(task, "execution_start", {})
        self._send_and_record(task, "execution_cached", {"nodes": list(task.work.cached)})
        for node_id in task.work.cached:
            if node_id in task.work.outputs:
                self._send_executed(task, node_id, task.work.results.get(node_id, {}))
                task.told[node_id] = (1, 1)
                self._send_node_states(task)

    async def run(self, task: Task) -> None:
        """Each node takes the same share of the run."""
        order = task.work.to_run
        share = task.generation.run_for / max(len(order), 1)
        for node_id in order:
            self._start_node(task, node_id)
            await self._run_node(task, node_id, share)
            # The last node ends with the generation itself.
            if node_id != order[-1]:
                self._finish_node(task, node_id)

    def end(self, task: Task) -> None:
        """Whatever has not been told of a run that has just ended."""
        generation = task.generation
        if generation.state is State.SUCCEEDED:
            for node_id in task.work.to_run:
                if node_id not in task.executed:
                    if task.current != node_id:
                        self._start_node(task, node_id)
                    self._finish_node(task, node_id)
            self._send_and_record(task, "execution_success", {})
        elif generation.state is State.CANCELLED:
            self._send_and_record(task, "execution_interrupted", self._where(task))
        else:
            self._send_and_record(task, "execution_error", self._error(task))
        task.current = None

    def after(self, task: Task) -> None:
        """The last word, after every prompt, however it ended."""
        self._send(task, "executing", {"node": None, "prompt_id": task.id})

    def _start_node(self, task: Task, node_id: str) -> None:
        task.current = node_id
        task.told[node_id] = (0.0, 1.0)
        self._send_node_states(task)
        self._send(task, "executing", self._node(task, node_id))

    async def _run_node(self, task: Task, node_id: str, seconds: float) -> None:
        steps = self._steps(task, node_id)
        strides = min(steps, _MOST_STEPS)
        for stride in range(1, strides):
            await self._clock.sleep(seconds / strides)
            value = steps * stride // strides
            self._send_step(task, node_id, value=value, steps=steps)
            task.told[node_id] = (float(value), float(steps))
            self._send_node_states(task)
            if task.client_id is not None and self._hub.listens(task.client_id):
                self._hub.preview(task.client_id, preview())
        await self._clock.sleep(seconds / strides)

    def _finish_node(self, task: Task, node_id: str) -> None:
        task.executed.append(node_id)
        if self._nodes[task.work.graph[node_id]["class_type"]].steps:
            most = self._steps(task, node_id)
            self._send_step(task, node_id, value=most, steps=most)
        if node_id in task.planned:
            self._send_executed(task, node_id, task.planned[node_id])
        steps = float(self._steps(task, node_id))
        task.told[node_id] = (steps, steps)
        self._send_node_states(task)

    def _send_step(self, task: Task, node_id: str, *, value: int, steps: int) -> None:
        told = {"value": value, "max": steps, "prompt_id": task.id, "node": node_id}
        self._send(task, "progress", told)

    def _steps(self, task: Task, node_id: str) -> int:
        node = task.work.graph[node_id]
        name = self._nodes[node["class_type"]].steps
        return 1 if name is None else max(int(node["inputs"][name]), 1)

    def _send_executed(self, task: Task, node_id: str, output: dict[str, Any]) -> None:
        node = self._node(task, node_id)
        told = {"node": node["node"], "display_node": node["display_node"], "output": output}
        self._send(task, "executed", {**told, "prompt_id": task.id})

    def _send_node_states(self, task: Task) -> None:
        if task.client_id is not None and not self._hub.listens(task.client_id):
            return
        nodes = {
            node_id: {
                "value": value,
                "max": most,
                "state": "finished" if value == most else "running",
                "node_id": node_id,
                "prompt_id": task.id,
                "display_node_id": node_id,
                "parent_node_id": None,
                "real_node_id": node_id,
            }
            for node_id, (value, most) in task.told.items()
        }
        told = {"prompt_id": task.id, "nodes": nodes}
        if task.client_id is None:
            self._hub.broadcast("progress_state", told)
        else:
            self._hub.send(task.client_id, "progress_state", told)

    def _send_and_record(self, task: Task, kind: str, data: dict[str, Any]) -> None:
        """Goes into the history too, whoever listens."""
        stamp = milliseconds(time.time())
        first = {"nodes": data["nodes"]} if "nodes" in data else {}
        rest = {name: value for name, value in data.items() if name != "nodes"}
        told = {**first, "prompt_id": task.id, **rest, "timestamp": stamp}
        task.messages.append([kind, told])
        self._send(task, kind, told)

    def _send(self, task: Task, kind: str, data: dict[str, Any]) -> None:
        if task.client_id is not None:
            self._hub.send(task.client_id, kind, data)

    def _node(self, task: Task, node_id: str) -> dict[str, Any]:
        return {"node": node_id, "display_node": node_id, "prompt_id": task.id}

    def _where(self, task: Task) -> dict[str, Any]:
        node_id = task.current or task.work.order[0]
        kind = task.work.graph[node_id]["class_type"]
        return {"node_id": node_id, "node_type": kind, "executed": list(task.executed)}

    def _error(self, task: Task) -> dict[str, Any]:
        """As talkative as the real one: server paths and a traceback come along."""
        return {
            **self._where(task),
            "exception_message": f"{task.generation.error}\n",
            "exception_type": "RuntimeError",
            "traceback": [f'  File "{SERVER_FILE}", line 518, in execute\n'],
            "current_inputs": {},
            "current_outputs": list(task.executed),
        }
