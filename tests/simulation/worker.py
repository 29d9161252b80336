"""A worker's process: it keeps workflows in its cache and tries activities."""

from collections.abc import Callable
from typing import Any

from temporalio.api.common.v1 import Payload, Payloads
from temporalio.api.failure.v1 import Failure
from temporalio.client import WorkflowQueryFailedError

from tests.simulation.answers import Answer
from tests.simulation.core import Core, Nondeterminism, TaskFailed
from tests.simulation.hand import Hand
from tests.simulation.process import Process
from tests.simulation.runs import Activity, Run, Task, Try
from tests.simulation.server import Server
from tests.simulation.trying import Trial

QUERY_PAUSE = 0.02


class Worker(Process):
    """Polls one queue; `breaks` says of which runs the code fails here."""

    def __init__(
        self, server: Server, name: str, queue: str, *, workflows: dict[str, type]
    ) -> None:
        super().__init__(server.world, name)
        self.server = server
        self.queue = queue
        self.workflows = workflows
        self.functions: dict[str, Callable[..., Any]] = {}
        self.trials: set[Trial] = set()
        self.stopping = False
        # Whether a run whose history does not replay is failed, instead of its task.
        self.fails_runs = False
        self.breaks: Callable[[Run], bool] = lambda run: False
        self.observe: Callable[[Core], None] = lambda core: None
        self.cache: dict[str, Core] = {}
        self.hands: dict[str, Hand] = {}
        server.workers.setdefault(queue, []).append(self)

    @property
    def polls(self) -> bool:
        """Whether it takes work."""
        return self.alive and not self.frozen and not self.stopping

    def kill(self) -> None:
        """SIGKILL: cache and activities are gone."""
        super().kill()
        self.server.workers[self.queue].remove(self)

    def tidy(self) -> None:
        """At the end of a history: nothing is left for the garbage collector to stumble over."""
        self.again()
        for core in self.cache.values():
            core.evict()
            self.again()
        self.cache.clear()
        super().tidy()

    # Workflow tasks

    def take(self, run: Run, task: Task) -> None:
        """A workflow task arrives."""
        if self.alive:
            self.call_soon(self._work, run, task)

    def _work(self, run: Run, task: Task) -> None:
        if not run.is_open or task.started is None or run.seen > task.started:
            return
        try:
            core = self._cached(run)
            if self.breaks(run):
                raise TaskFailed("the release is broken")
            hand = self.hands.setdefault(run.run_id, Hand(self, run, core))
            core.begin(task, hand.ended())
        except (TaskFailed, Nondeterminism) as failure:
            self.failed(run, task, failure)
            return
        finally:
            self.again()
        hand.hold(task)

    def _cached(self, run: Run) -> Core:
        core = self.cache.get(run.run_id)
        if core is not None and core.told == run.seen and not self._is_dropped(run):
            return core
        self.evict(run.run_id)
        core = Core(run, self.workflows[run.type], self.server.table)
        self.cache[run.run_id] = core
        for record in run.records:
            core.replay(record)
        return core

    def replay(self, run: Run) -> str | None:
        """Replay a run from its beginning; why it can't be."""
        core = Core(run, self.workflows[run.type], self.server.table)
        try:
            for record in run.records:
                core.replay(record)
        except (TaskFailed, Nondeterminism) as failure:
            return str(failure)
        finally:
            self.again()
            core.evict()
            self.again()
        return None

    def look_ahead(self, run: Run) -> None:
        """A query is served before the task that tells what is new."""
        core = self.cache.get(run.run_id)
        idle = run.run_id not in self.hands
        if self.alive and core is not None and core.told == run.seen and idle:
            forgotten = core.look_ahead()
            self.again()
            if forgotten:
                self.evict(run.run_id)

    def query(self, run: Run, name: str, args: Payloads, done: Any) -> None:
        """A question arrives."""
        if self.alive:
            self.call_soon(self._query, run, name, args, done)

    def _query(self, run: Run, name: str, args: Payloads, done: Any) -> None:
        if run.run_id in self.hands:
            # It is answered between two tasks.
            self.world.after(QUERY_PAUSE, self.query, run, name, args, done)
            return
        try:
            if self.breaks(run):
                raise TaskFailed("the release is broken")
            core = self.cache.get(run.run_id) or self._cached(run)
            done(core.query(name, args), None)
        except (TaskFailed, Nondeterminism) as failure:
            done(None, WorkflowQueryFailedError(str(failure)))
        finally:
            self.again()

    def _is_dropped(self, run: Run) -> bool:
        return self.world.chance.often(f"cache {run.workflow_id}", self.server.forgets)

    def evict(self, run_id: str) -> None:
        """Forget a run; its local activities are given up."""
        hand = self.hands.pop(run_id, None)
        if hand is not None:
            hand.drop()
        core = self.cache.pop(run_id, None)
        if core is not None:
            core.evict()
            self.again()

    def failed(self, run: Run, task: Task, failure: Exception) -> None:
        """The task fails, and so does the run where that is how it is meant."""
        self.evict(run.run_id)
        replays = not isinstance(failure, Nondeterminism)
        why = str(failure) if replays else f"replay: {failure}"
        hop = self.server.hop(f"failed {run.workflow_id}")
        ends = self.fails_runs and not replays
        self.world.after(hop, self.server.tasks.fail, run, task, why, ends)

    def answer(self, run: Run, task: Task, answer: Answer) -> None:
        """Send the answer to a task."""
        hop = self.server.hop(f"answer {run.workflow_id}")
        self.world.after(hop, self._arrive, run, task, answer)

    def _arrive(self, run: Run, task: Task, answer: Answer) -> None:
        if self.server.is_lost(run):
            # The server never hears of it; the worker learns by the task that comes next.
            self.call_soon(self.evict, run.run_id)
            return
        taken = self.server.tasks.complete(run, task, answer)
        if not taken or not run.is_open:
            self.call_soon(self.evict, run.run_id)
        elif run.run_id in self.cache:
            self.observe(self.cache[run.run_id])

    # Activities

    def unexpected(self, activity: Activity, error: BaseException) -> None:
        """An activity failed with something that is none of our errors."""
        self.errors.append(f"{activity.type}: {error!r}")

    def try_activity(self, activity: Activity, trying: Try) -> None:
        """A try of an activity arrives."""
        if not self.alive or activity.type not in self.functions:
            return

        def done(payload: Payload | None, failure: Failure | None, cancelled: bool) -> None:
            hop = self.server.hop(f"done {activity.run.workflow_id}")
            book = self.server.activities
            if cancelled:
                self.world.after(hop, book.cancelled, activity, trying)
            elif failure is not None:
                self.world.after(hop, book.fail, activity, trying, failure)
            else:
                self.world.after(hop, book.complete, activity, trying, payload)

        Trial(self, activity, trying, done, local=False).begin()


def new_worker(server: Server, name: str, queue: str, *, workflows: dict[str, type]) -> Worker:
    """A worker; what an event loop has to offer beyond our needs it doesn't have."""
    return Worker(server, name, queue, workflows=workflows)  # type: ignore[abstract]
