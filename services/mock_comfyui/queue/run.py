"""Runs one prompt node by node, as its graph and the fault plan want it."""

import math

from services.mock_comfyui.prompts.execution import NodeCache, Work
from services.mock_comfyui.prompts.nodes import NodeType
from services.mock_comfyui.prompts.task import Task
from services.mock_comfyui.queue.events import ExecutionEvents
from services.mock_comfyui.queue.saving import NodeFailed, Saver
from services.mock_core.lib.clock import Clock
from services.mock_core.runner.planned_run import PlannedRun

# More steps than this are told in strides.
_MOST_STEPS = 20


class Interrupted(Exception):
    """Somebody has asked for its end."""


class Vanished(Exception):
    """It is forgotten in the middle of it, as by a restart."""


class PromptRun:
    """Nodes take their share of the time by their steps; an interruption waits for the next one."""

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
        """Ends well, or raises Interrupted, NodeFailed or Vanished."""
        task, work = self._task, self._work
        for node_id in work.to_run:
            events.start_node(task, node_id)
            self._heed()
            await self._steps(node_id, events)
            output = await self._saver.output_of(task, node_id)
            pictures = await self._saver.pictures(task, node_id)
            for number, picture in enumerate(pictures):
                events.step(task, node_id, value=number, steps=len(pictures))
                events.picture(task, picture)
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
        told = self._kind(node_id).steps is not None
        for stride in range(1, strides + 1):
            await self._pass()
            if told:
                value = steps * stride // strides
                events.step(self._task, node_id, value=value, steps=steps)
                if stride < strides:
                    self._heed()

    def _kind(self, node_id: str) -> NodeType:
        return self._saver.nodes[self._task.graph[node_id]["class_type"]]

    async def _pass(self) -> None:
        """One stride, unless the fault plan strikes in the middle of it."""
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
    """At which share of its time something is planned to go wrong."""
    for at in (planned.stick_at, planned.vanish_at, planned.fail_at):
        if at is not None:
            return at / 100
    return math.inf
