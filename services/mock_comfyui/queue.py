"""The native wire's view of the work: waiting, running and ended prompts."""

import asyncio
import itertools
import logging
from typing import Any, NamedTuple

from services.mock_comfyui.pictures import ImageMaker
from services.mock_comfyui.run import Hub, Interrupted, NodeFailed, PromptRun, Task, Vanished
from services.mock_core.ledger import Generation, State
from services.mock_core.mock import Mock
from services.mock_core.runner import PlannedRun

# The real server keeps 10 000; entries hold whole graphs, and the mock has to stay small.
MAX_HISTORY = 2_000
# Real seconds between `execution_success` and the history entry: short, and never zero.
HISTORY_LAG = 0.03
_log = logging.getLogger(__name__)


class Kept(NamedTuple):
    """An ended prompt: the body of `/history`, and its generation."""

    entry: dict[str, Any]
    generation: Generation


class PromptQueue:
    """Prompts of the native wire, one after another."""

    def __init__(self, mock: Mock, maker: ImageMaker) -> None:
        self.hub = Hub(mock)
        # By prompt id; an id that runs again keeps its place, and has the later end.
        self.history: dict[str, Kept] = {}
        self.running: Task | None = None
        self.history_lag = HISTORY_LAG
        # Waiting prompts, in order of arrival.
        self.pending: list[Task] = []
        self.numbers = itertools.count()
        self._mock, self._maker, self._runner = mock, maker, mock.runner
        self._filled = asyncio.Event()
        self._worker: asyncio.Task[None] | None = None

    def take(self, generation: Generation, planned: PlannedRun) -> bool:
        """Queue a prompt of the native wire, which runs after those before it."""
        task = generation.detail.get("task")
        if not isinstance(task, Task):
            return False
        task.planned = planned
        self.pending.append(task)
        self._broadcast_status()
        self._filled.set()
        return True

    def on_change(self, generation: Generation) -> None:
        """Remove lost prompts, and release ended ones."""
        if generation.vanished:
            if self.running is not None and self.running.generation is generation:
                self.running = None
            self.pending = [task for task in self.pending if task.generation is not generation]
            kept = self.history.get(generation.id)
            if kept is not None and kept.generation is generation:
                del self.history[generation.id]
        if generation.vanished or generation.ended:
            # The row stays in the ledger for long, and the graph is large.
            generation.detail.pop("task", None)

    def find(self, prompt_id: str) -> Task | None:
        """Return the running prompt of this id, else the first that waits."""
        running = [] if self.running is None else [self.running]
        return next((it for it in [*running, *self.pending] if it.id == prompt_id), None)

    def cancel(self, prompt_id: str) -> bool:
        """Stop the running prompt of this id at its next step, or drop the first that waits."""
        return self.interrupt(prompt_id) or self.drop(prompt_id)

    def interrupt(self, prompt_id: str) -> bool:
        if self.running is None or prompt_id != self.running.id:
            return False
        self.running.interrupted.set()
        return True

    def drop(self, prompt_id: str) -> bool:
        """Drop the first waiting prompt of this id, without a trace."""
        task = next((task for task in self.pending if task.id == prompt_id), None)
        if task is None:
            return False
        self.pending.remove(task)
        self._runner.cancel(task.generation)
        self._broadcast_status()
        return True

    def status(self) -> dict[str, Any]:
        remaining = (self.running is not None) + len(self.pending)
        return {"status": {"exec_info": {"queue_remaining": remaining}}}

    async def open(self) -> None:
        self._start_worker()

    def restart(self) -> None:
        """Lose what is in the server's memory: sockets, queue, history."""
        self.hub.drop_all()
        self.forget_all()
        self.numbers = itertools.count()

    def forget_all(self) -> None:
        self.running = None
        self.pending.clear()
        self.history.clear()
        self._start_worker()

    async def close(self) -> None:
        if self._worker is not None:
            self._worker.cancel()
            await asyncio.gather(self._worker, return_exceptions=True)

    def _start_worker(self) -> None:
        if self._worker is not None:
            self._worker.cancel()
        self._worker = asyncio.get_running_loop().create_task(self._work())

    async def _work(self) -> None:
        while True:
            # Except those that the fault plan never lets start.
            ready = (task for task in self.pending if not task.planned.never_starts)
            task = next(ready, None)
            if task is None:
                self._filled.clear()
                await self._filled.wait()
            else:
                self.pending.remove(task)
                await self._run(task)

    async def _run(self, task: Task) -> None:
        generation = task.generation
        self.running = task
        self._broadcast_status()
        run = PromptRun(task, self.hub, mock=self._mock, maker=self._maker)
        self._runner.begin(generation, run.seconds, stick_at=task.planned.stick_at)
        state, error = State.FAILED, None
        try:
            await run.to_its_end()
        except Vanished:
            self._runner.vanish(generation)
            return
        except Interrupted:
            run.interrupted()
            state, error = State.CANCELLED, "cancelled"
        except NodeFailed as failed:
            run.error(kind=failed.kind, message=f"{failed}\n")
            error = str(failed)
        except Exception as broken:
            _log.exception("the work on %s failed unexpectedly", task.id)
            run.error(kind=type(broken).__name__, message=f"{broken}\n")
            error = f"internal error: {type(broken).__name__}"
        else:
            state = State.SUCCEEDED
        task.current = None
        self._runner.end(generation, state, error=error)
        await asyncio.sleep(self.history_lag)
        # Write the history, then report the end, then start the next prompt.
        self.running = None
        self.history[task.id] = Kept(_entry_of(task), generation)
        if len(self.history) > MAX_HISTORY:
            del self.history[next(iter(self.history))]
        self._broadcast_status()
        run.after()

    def _broadcast_status(self) -> None:
        self.hub.send(None, "status", self.status())


def _entry_of(task: Task) -> dict[str, Any]:
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
