"""The native wire's view of the work: waiting, running and ended prompts, and their events."""

import asyncio
import heapq
import itertools
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from services.mock_comfyui.prompts.tasks import NodeCache, Task
from services.mock_comfyui.queue.events import ExecutionEvents, Hub
from services.mock_comfyui.queue.run import Interrupted, NodeFailed, PromptRun, Saver, Vanished
from services.mock_core.clock import Clock
from services.mock_core.ledger import Generation, State
from services.mock_core.runner import PlannedRun, Runner

# The real server keeps 10 000; entries hold whole graphs, and the mock has to stay small.
MAX_HISTORY = 2_000
Entry = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Kept:
    """`entry` is the body of `/history`; `generation` the one that it is about."""

    entry: Entry
    generation: Generation


def entry_of(task: Task) -> Entry:
    """Return a history entry. Outputs are listed however it ended; `completed` says that it
    succeeded."""
    good = task.generation.state is State.SUCCEEDED
    return {
        "prompt": task.queue_row,
        "outputs": dict(task.results),
        "status": {
            "status_str": "success" if good else "error",
            "completed": good,
            "messages": task.messages,
        },
        "meta": {
            node_id: {
                "node_id": node_id,
                "display_node": node_id,
                "parent_node": None,
                "real_node_id": node_id,
            }
            for node_id in task.results
        },
    }


# Real seconds between `execution_success` and the history entry: short, and never zero.
HISTORY_LAG = 0.03
_log = logging.getLogger(__name__)


class QueueBroken(Exception):
    """The real server fails on two entries of one number and one id."""


class PromptQueue:
    """Prompts of the native wire, one after another."""

    def __init__(self, runner: Runner, clock: Clock, saver: Saver, *, at_once: int) -> None:
        self.nodes = saver.nodes
        self.saver = saver
        self.hub = Hub()
        self.cache = NodeCache()
        # By prompt id; an id that runs again keeps its place, and has the later end.
        self.history: dict[str, Kept] = {}
        self.pending: list[tuple[float, str, Any, Task]] = []
        # Those that the fault plan never lets start.
        self.held: list[Task] = []
        self.running: dict[Generation, Task] = {}
        self.history_lag = HISTORY_LAG
        self._runner = runner
        self._clock = clock
        self._at_once = at_once
        self._numbers = itertools.count()
        self._events = ExecutionEvents(self.hub)
        self._workers: list[asyncio.Task[None]] = []
        self._filled = asyncio.Event()

    def take_number(self) -> int:
        """Return the next place in the order of arrival; a refused prompt uses one up as well."""
        return next(self._numbers)

    def take(self, generation: Generation, planned: PlannedRun) -> bool:
        """Queue a prompt of the native wire, which runs when the ones before it have ended."""
        task = generation.detail.get("task")
        if not isinstance(task, Task):
            return False
        task.planned = planned
        if planned.never_starts:
            self.held.append(task)
        else:
            self._push(task)
        self._broadcast_status()
        self._filled.set()
        return True

    def _push(self, task: Task) -> None:
        """Insert as the real server does, which compares two graphs if number and id are equal."""
        try:
            heapq.heappush(self.pending, (task.number, task.id, task.graph, task))
        except TypeError as error:
            raise QueueBroken from error

    def on_change(self, generation: Generation) -> None:
        """Remove lost prompts, and release the ended ones."""
        if generation.vanished:
            self._forget(generation)
        elif generation.ended:
            # The row stays in the ledger for long, and the graph is large.
            generation.detail.pop("task", None)

    def waiting(self) -> list[Task]:
        """Return the waiting prompts in order."""
        return [*(row[-1] for row in sorted(self.pending, key=_place)), *self.held]

    def tasks(self) -> Iterator[tuple[Task, State]]:
        """Return running and waiting prompts, in this wire's form."""
        for task in self.running.values():
            yield task, State.RUNNING
        for task in self.waiting():
            yield task, State.QUEUED

    def cancel(self, prompt_id: str) -> bool:
        """Stop the running one at its next step, or drop the first that waits."""
        return self.interrupt(prompt_id) or self.drop(prompt_id)

    def interrupt(self, prompt_id: str | None) -> bool:
        """Ask the prompt of this id to end, or the first that runs."""
        for task in self.running.values():
            if prompt_id in (None, task.id):
                task.interrupted.set()
                return True
        return False

    def drop(self, prompt_id: str) -> bool:
        """Drop the first waiting prompt of this id, without a trace."""
        for task in self.waiting():
            if task.id == prompt_id:
                self._take_out(task.generation)
                self._runner.cancel(task.generation)
                self._broadcast_status()
                if not self.waiting():
                    # The worker wakes, finds nothing, and reports it.
                    self._broadcast_status()
                return True
        return False

    def drop_all(self) -> None:
        """Drop all waiting prompts, and report it once."""
        dropped = self.waiting()
        self.pending.clear()
        self.held.clear()
        for task in dropped:
            self._runner.cancel(task.generation)
        self._broadcast_status()

    def current_node(self, client_id: str) -> str | None:
        """Return the node that runs for this client, for a socket that reconnects."""
        for task in self.running.values():
            if task.client_id == client_id and task.current is not None:
                return task.current
        return None

    def status(self) -> dict[str, Any]:
        return {"exec_info": {"queue_remaining": self._remaining}}

    @property
    def _remaining(self) -> int:
        return len(self.running) + len(self.pending) + len(self.held)

    async def open(self) -> None:
        self.hub.start()
        self._start_workers()

    def restart(self) -> None:
        """Lose what is in the server's memory: sockets, queue, history, cached results."""
        self.hub.drop_all()
        self.hub.start()
        self.forget_all()
        self.saver.folders.wipe_temp()
        self._numbers = itertools.count()

    def forget_all(self) -> None:
        for worker in self._workers:
            worker.cancel()
        self.pending.clear()
        self.held.clear()
        self.running.clear()
        self.history.clear()
        self.cache.clear()
        self._start_workers()

    async def close(self) -> None:
        self.hub.stop()
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)

    def _start_workers(self) -> None:
        loop = asyncio.get_running_loop()
        self._filled = asyncio.Event()
        self._workers = [loop.create_task(self._work()) for _ in range(self._at_once)]

    async def _work(self) -> None:
        """Run the queue; an error stops it for good, as at the real server."""
        while True:
            try:
                task = await self._next()
            except TypeError:
                _log.error("two entries of one number and one id: nothing runs any more")
                return
            await self._run(task, task.planned or PlannedRun(0))

    async def _next(self) -> Task:
        while not self.pending:
            self._filled.clear()
            await self._filled.wait()
        return heapq.heappop(self.pending)[-1]

    async def _run(self, task: Task, planned: PlannedRun) -> None:
        generation = task.generation
        self.running[generation] = task
        self._broadcast_status()
        task.work = self.cache.plan(
            task.graph, task.outputs, self.nodes, changed=self.saver.state_of
        )
        task.results.update(
            {key: made for key, made in task.work.results.items() if key in task.outputs}
        )
        run = PromptRun(task, task.work, planned, clock=self._clock, saver=self.saver)
        self._runner.begin(generation, run.seconds, stick_at=planned.stick_at)
        self._events.begin(task, task.work)
        try:
            state, error = await self._ended(task, run)
        except Vanished:
            self._runner.vanish(generation)
            return
        task.current = None
        self.saver.note_file(task)
        self._runner.end(generation, state, error=error)
        await asyncio.sleep(self.history_lag)
        self._conclude(task)

    async def _ended(self, task: Task, run: PromptRun) -> tuple[State, str | None]:
        try:
            await run.to_its_end(self._events, self.cache)
        except Interrupted:
            self._events.interrupted(task)
            return State.CANCELLED, "cancelled"
        except NodeFailed as error:
            self._events.error(task, kind=error.kind, message=f"{error}\n")
            return State.FAILED, str(error)
        except Vanished:
            raise
        except Exception as error:
            _log.exception("the work on %s broke off", task.id)
            kind = type(error).__name__
            self._events.error(task, kind=kind, message=f"{error}\n")
            return State.FAILED, f"internal error: {kind}"
        self._events.success(task)
        return State.SUCCEEDED, None

    def _conclude(self, task: Task) -> None:
        """Write the history, then report the end, then start the next prompt."""
        self.running.pop(task.generation, None)
        self.history[task.id] = Kept(entry_of(task), task.generation)
        if len(self.history) > MAX_HISTORY:
            del self.history[next(iter(self.history))]
        self._broadcast_status()
        self._events.after(task)

    def _take_out(self, generation: Generation) -> None:
        rest = [row for row in self.pending if row[-1].generation is not generation]
        self.pending = sorted(rest, key=_place)
        self.held = [task for task in self.held if task.generation is not generation]

    def _forget(self, generation: Generation) -> None:
        self.running.pop(generation, None)
        self._take_out(generation)
        kept = self.history.get(generation.id)
        if kept is not None and kept.generation is generation:
            del self.history[generation.id]
        generation.detail.pop("task", None)

    def _broadcast_status(self) -> None:
        self.hub.send(None, "status", {"status": self.status()})


def _place(row: tuple[float, str, Any, Task]) -> float:
    return row[0]
