"""The native wire's view of the work: queue, history, and the events sent on the sockets."""

import asyncio
import itertools
from collections import OrderedDict
from typing import Any

from services.mock_comfyui.prompts.execution import NodeCache, Work
from services.mock_comfyui.prompts.nodes import build_nodes
from services.mock_comfyui.prompts.task import Task, plan_outputs
from services.mock_comfyui.queue.events import ExecutionEvents
from services.mock_comfyui.queue.sockets import Hub
from services.mock_core.ledger.generation import Generation, State
from services.mock_core.lib.clock import Clock

# The real server keeps 10 000; entries hold whole graphs, and the mock has to stay small.
MAX_HISTORY = 2_000
# Real seconds between `execution_success` and the history entry: short, and never zero.
HISTORY_LAG = 0.03
_PLAIN_GRAPH = {"class_type": "EmptyImage", "inputs": {"width": 640, "height": 360}}


class PromptQueue:
    """Prompts of either wire pass here; what was forgotten here is unknown on the native wire."""

    def __init__(self, clock: Clock, *, checkpoints: tuple[str, ...]) -> None:
        self.nodes = build_nodes(checkpoints)
        self.hub = Hub()
        self.cache = NodeCache()
        self.open: dict[Generation, Task] = {}
        self.history: OrderedDict[str, dict[str, Any]] = OrderedDict()
        self._clock = clock
        self._numbers = itertools.count()
        self._counters: dict[str, int] = {}
        self._event_tasks: dict[Generation, asyncio.Task[None]] = {}
        self._events = ExecutionEvents(self.hub, clock, self.nodes)

    def take_number(self) -> int:
        """The next place in the order of arrival; a prompt that is refused uses one up as well."""
        return next(self._numbers)

    def prepare(self, task: Task) -> None:
        """Get a prompt ready for the queue; it joins when its generation is accepted."""
        generation, work = task.generation, task.work
        plan_outputs(task, self.nodes, self._counters)
        generation.detail["task"] = task
        generation.instant = not work.to_run

    def on_change(self, generation: Generation) -> None:
        """Follow a generation: into the queue, through its run, into the history."""
        if generation.vanished:
            self._forget(generation)
        elif generation.state is State.QUEUED:
            self.open[generation] = generation.detail.get("task") or self._plain(generation)
            self._broadcast_status()
        elif generation.state is State.RUNNING:
            self._broadcast_status()
            self._begin(self.open[generation])
        else:
            self._end(generation)

    def state_of(self, generation: Generation, told: State) -> State:
        """What this wire says: running until the history is written."""
        if generation in self.open and told in (State.SUCCEEDED, State.FAILED, State.CANCELLED):
            return State.RUNNING
        return told

    def current_node(self, client_id: str) -> str | None:
        """The node that runs for this client, for a socket that comes back."""
        for task in self.open.values():
            if task.client_id == client_id and task.current is not None:
                return task.current
        return None

    def status(self) -> dict[str, Any]:
        return {"exec_info": {"queue_remaining": len(self.open)}}

    def restart(self) -> None:
        """Lose what lives in the server's memory: sockets, history, cached results."""
        self.hub.drop_all()
        self.history.clear()
        self.cache.clear()

    def forget_all(self) -> None:
        for event_task in self._event_tasks.values():
            event_task.cancel()
        for table in (self._event_tasks, self.open, self.history, self._counters):
            table.clear()
        self.cache.clear()

    async def close(self) -> None:
        event_tasks = list(self._event_tasks.values())
        self.forget_all()
        await asyncio.gather(*event_tasks, return_exceptions=True)

    def _plain(self, generation: Generation) -> Task:
        """The prompt that stands for a submit on the plain wire."""
        save = {"class_type": "SaveImage", "inputs": {"images": ["1", 0]}}
        work = Work({"1": _PLAIN_GRAPH, "2": save}, ["2"], ["1", "2"], [], {}, {})
        task = Task(generation, next(self._numbers), work, {}, None)
        image = {"filename": f"{generation.id}.png", "subfolder": "", "type": "output"}
        task.planned["2"] = {"images": [image]}
        return task

    def _begin(self, task: Task) -> None:
        self._events.begin(task)
        event_task = asyncio.get_running_loop().create_task(self._events.run(task))
        self._event_tasks[task.generation] = event_task

    def _end(self, generation: Generation) -> None:
        task = self.open.get(generation)
        event_task = self._event_tasks.pop(generation, None)
        if event_task is not None:
            event_task.cancel()
        generation.detail.pop("task", None)
        if task is None:
            return
        if generation.started is None:
            # Cancelled in the queue: the same as one that never was.
            del self.open[generation]
            self._broadcast_status()
            self._broadcast_status()
            return
        # Among the event tasks, so that a restart during the lag leaves no history entry behind.
        self._event_tasks[generation] = asyncio.get_running_loop().create_task(self._conclude(task))

    async def _conclude(self, task: Task) -> None:
        generation = task.generation
        self._events.end(task)
        await asyncio.sleep(HISTORY_LAG)
        if generation.state is State.SUCCEEDED:
            task.work.results.update(task.planned)
            self.cache.keep(task.work)
        self.history[task.id] = history_entry(task)
        self.history.move_to_end(task.id)
        if len(self.history) > MAX_HISTORY:
            self.history.popitem(last=False)
        self.open.pop(generation, None)
        self._event_tasks.pop(generation, None)
        self._broadcast_status()
        self._events.after(task)

    def _forget(self, generation: Generation) -> None:
        event_task = self._event_tasks.pop(generation, None)
        if event_task is not None:
            event_task.cancel()
        self.open.pop(generation, None)
        self.history.pop(generation.id, None)

    def _broadcast_status(self) -> None:
        self.hub.broadcast("status", {"status": self.status()})


def history_entry(task: Task) -> dict[str, Any]:
    good = task.generation.state is State.SUCCEEDED
    outputs = {
        node_id: output
        for node_id, output in task.work.results.items()
        if good and node_id in task.work.outputs
    }
    return {
        "prompt": task.queue_row,
        "outputs": outputs,
        "status": {
            "status_str": "success" if good else "error",
            "completed": good,
            "messages": task.messages,
        },
        "meta": {node_id: _meta(node_id) for node_id in outputs},
    }


def _meta(node_id: str) -> dict[str, Any]:
    return {
        "node_id": node_id,
        "display_node": node_id,
        "parent_node": None,
        "real_node_id": node_id,
    }
