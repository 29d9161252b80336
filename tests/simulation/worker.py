"""A worker's process: it keeps workflows in its cache and tries activities."""

from collections.abc import Callable
from typing import Any

from temporalio.api.common.v1 import Payload, Payloads
from temporalio.api.failure.v1 import Failure
from temporalio.client import WorkflowQueryFailedError

from tests.simulation.core import Answer, Core, Nondeterminism, TaskFailed
from tests.simulation.history import Activity, Marker, Run, Task, Try
from tests.simulation.server import Server
from tests.simulation.trying import Trial
from tests.simulation.world import Process

# A task that waits for a local activity tells the server in time, and is given a new one.
TASK_SHARE = 0.8
LOCAL_RETRY = 0.05


class Hand:
    """The run's task, from its arrival to the answer; also between two of them that go on."""

    def __init__(self, worker: "Worker", run: Run, core: Core) -> None:
        self._worker = worker
        self._run = run
        self._task: Task | None = None
        self._core = core
        self._trials: dict[int, Trial] = {}
        self._ended: list[Marker] = []

    def hold(self, task: Task) -> None:
        """A task has come, and the core has taken in what is new."""
        self._task = task
        share = task.began + TASK_SHARE * self._run.task_timeout
        self._worker.world.at(share, self._goes_on, task)
        self._proceed()

    def ended(self) -> list[Marker]:
        """What has ended since the last task; the next task has it."""
        ended, self._ended = self._ended, []
        return ended

    def drop(self) -> None:
        """The run is forgotten; its local activities are given up."""
        for trial in self._trials.values():
            trial.cancel("evicted")

    def _proceed(self) -> None:
        """Run the local activities that are wanted; answer when none is open."""
        core = self._core
        wanted, core.to_start = core.to_start, []
        for each in wanted:
            if each.seq in core.locals:
                self._start_local(each, 1)
        if not core.locals or core.closes():
            self._answer(goes_on=False)
            return
        for seq, each in core.locals.items():
            if seq not in self._trials:
                # Left over from a task that was not taken, or that another worker had.
                self._start_local(each, 1)

    def _start_local(self, wanted: Any, attempt: int) -> None:
        if not self._awaits(wanted.seq):
            return
        worker = self._worker
        now = worker.world.now
        activity = Activity.of(
            self._run,
            wanted,
            at=now,
            scheduled=0,
            queue=worker.queue,
            heartbeat=0.0,
            attempt=attempt,
        )

        def done(payload: Payload | None, failure: Failure | None, _cancelled: bool) -> None:
            if failure is not None and self._may_retry(activity, failure):
                again = LOCAL_RETRY * 2 ** min(attempt, 6)
                worker.world.after(again, self._start_local, wanted, attempt + 1)
                return
            marker = Marker(wanted.seq, worker.world.now, payload, failure)
            self._local_done(marker)

        trial = Trial(worker, activity, Try(attempt, now, now, worker), done, local=True)
        self._trials[wanted.seq] = trial
        trial.begin()

    def _may_retry(self, activity: Activity, failure: Failure) -> bool:
        most = activity.policy.maximum_attempts
        spent = most and activity.attempt >= most
        return not spent and not failure.application_failure_info.non_retryable

    def _local_done(self, marker: Marker) -> None:
        if not self._awaits(marker.seq):
            return
        self._trials.pop(marker.seq, None)
        self._worker.call_soon(self._resolve, marker)

    def _resolve(self, marker: Marker) -> None:
        if not self._awaits(marker.seq):
            return
        if self._task is None:
            # The next task is on its way.
            self._ended.append(marker)
            return
        try:
            self._core.resolve(marker)
        except TaskFailed as failure:
            self._worker.failed(self._run, self._task, failure)
            return
        self._proceed()

    def _goes_on(self, task: Task) -> None:
        """Tell the server that the task takes longer."""
        worker = self._worker
        if worker.alive and not worker.frozen and self._task is task:
            self._answer(goes_on=True)

    def _answer(self, *, goes_on: bool) -> None:
        task, self._task = self._task, None
        assert task is not None
        answer = self._core.finish(goes_on=goes_on)
        if not goes_on:
            del self._worker.hands[self._run.run_id]
        self._worker.answer(self._run, task, answer)

    def _awaits(self, seq: int) -> bool:
        """Whether a local activity is still of use here."""
        return self._worker.hands.get(self._run.run_id) is self and seq in self._core.locals


QUERY_PAUSE = 0.02


class Worker(Process):
    def __init__(
        self, server: Server, name: str, queue: str, *, workflows: dict[str, type]
    ) -> None:
        super().__init__(server.world, name)
        self.server = server
        self.queue = queue
        self.workflows = workflows
        self.functions: dict[str, Callable[..., Any]] = {}
        self.observe: Callable[[Core], None] = lambda core: None
        self.cache: dict[str, Core] = {}
        self.hands: dict[str, Hand] = {}
        server.workers.setdefault(queue, []).append(self)

    @property
    def polls(self) -> bool:
        return self.alive and not self.frozen

    def kill(self) -> None:
        """SIGKILL: cache and activities are gone."""
        super().kill()
        self.server.workers[self.queue].remove(self)

    def tidy(self) -> None:
        """At the end of a history: nothing is left for the garbage collector to stumble over."""
        self.again()
        for core in self.cache.values():
            core.evict()
        self.cache.clear()
        super().tidy()

    # Workflow tasks

    def take(self, run: Run, task: Task) -> None:
        if self.alive:
            self.call_soon(self._work, run, task)

    def _work(self, run: Run, task: Task) -> None:
        if not run.is_open or task.started is None or run.seen > task.started:
            return
        try:
            core = self._cached(run)
            hand = self.hands.setdefault(run.run_id, Hand(self, run, core))
            core.begin(task, hand.ended())
        except (TaskFailed, Nondeterminism) as failure:
            self.failed(run, task, failure)
            return
        hand.hold(task)

    def _cached(self, run: Run) -> Core:
        core = self.cache.get(run.run_id)
        if core is not None and core.told == run.seen and not self._is_dropped(run):
            return core
        self.evict(run.run_id)
        core = Core(run, self.workflows[run.type], self.server.table, self)
        self.cache[run.run_id] = core
        for record in run.records:
            core.replay(record)
        return core

    def replay(self, run: Run, seen: Callable[[Any], None]) -> str | None:
        """Replay a run from its beginning, and show the workflow at its end; why it can't be."""
        core = Core(run, self.workflows[run.type], self.server.table, self)
        try:
            for record in run.records:
                core.replay(record)
            seen(core.object)
        except (TaskFailed, Nondeterminism) as failure:
            return str(failure)
        finally:
            core.evict()
        return None

    def look_ahead(self, run: Run) -> None:
        """A query is served before the task that tells what is new."""
        core = self.cache.get(run.run_id)
        if not self.alive or core is None or core.told != run.seen or run.run_id in self.hands:
            return
        if core.look_ahead():
            self.evict(run.run_id)

    def query(self, run: Run, name: str, args: Payloads, done: Any) -> None:
        if self.alive:
            self.call_soon(self._query, run, name, args, done)

    def _query(self, run: Run, name: str, args: Payloads, done: Any) -> None:
        if run.run_id in self.hands:
            # It is answered between two tasks.
            self.world.after(QUERY_PAUSE, self.query, run, name, args, done)
            return
        try:
            core = self.cache.get(run.run_id) or self._cached(run)
            done(core.query(name, args), None)
        except (TaskFailed, Nondeterminism) as failure:
            done(None, WorkflowQueryFailedError(str(failure)))

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

    def failed(self, run: Run, task: Task, failure: Exception) -> None:
        """No task is meant to fail."""
        self.evict(run.run_id)
        why = str(failure) if isinstance(failure, TaskFailed) else f"replay: {failure}"
        hop = self.server.hop(f"failed {run.workflow_id}")
        self.world.after(hop, self.server.tasks.fail, run, task, why)

    def answer(self, run: Run, task: Task, answer: Answer) -> None:
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
        self.server.on_try(activity, trying)
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
