"""The simulated server: runs by id, and all that can be asked of it from outside."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from temporalio.api.common.v1 import Payloads
from temporalio.service import RPCError, RPCStatusCode

from tests.simulation.activities import Activities
from tests.simulation.history import Activity, Run, Status, Try, Update, UpdateState
from tests.simulation.tasks import Tasks
from tests.simulation.world import Table, World

if TYPE_CHECKING:
    from tests.simulation.worker import Worker

# A message between server, workers and vendors.
HOP = (0.001, 0.02)
QUERY_SECONDS = 3.0
# A listing is eventually consistent.
LISTING, SLOW_LISTING = (0.02, 0.5), (1.0, 3.0)


def not_found(what: str) -> RPCError:
    """What a call that names a closed or unknown run gets."""
    return RPCError(what, RPCStatusCode.NOT_FOUND, b"")


class Server:
    """Knows every run; calls `on_close`, `on_task` of a task that was taken, and the like."""

    def __init__(self, world: World, table: Table) -> None:
        self.world = world
        self.table = table
        self.runs: dict[str, list[Run]] = {}
        self.by_run: dict[str, Run] = {}
        self.workers: dict[str, list[Worker]] = {}
        self.tasks = Tasks(self)
        self.activities = Activities(self)
        self.on_close: Callable[[Run], None] = lambda run: None
        self.on_task: Callable[[Run], None] = lambda run: None
        self.on_task_failure: Callable[[Run, str], None] = lambda run, why: None
        self.on_try: Callable[[Activity, Try], None] = lambda activity, trying: None
        # Shares of workflow tasks whose worker has forgotten the run, or whose answer is lost.
        self.forgets = 0.0
        self.loses = 0.0
        # The share of workflow tasks that a query overtakes.
        self.overtakes = 0.0
        # The share of local activities that take long, and how long that is.
        self.dawdles = 0.0
        self.dawdle = (0.3, 3.0)
        self.loses_next: set[str] = set()
        self.is_away = False
        self._numbers = 0

    def number(self) -> int:
        self._numbers += 1
        return self._numbers

    def hop(self, name: str) -> float:
        return self.world.chance.between(name, *HOP)

    def is_lost(self, run: Run) -> bool:
        """Whether the answer to a workflow task never arrives."""
        if run.workflow_id in self.loses_next:
            self.loses_next.remove(run.workflow_id)
            return True
        return self.world.chance.often(f"lost {run.workflow_id}", self.loses)

    def lag_of(self, run: Run) -> float:
        """How late a listing learns of a run's beginning and end."""
        if run.lag is None:
            chance = self.world.chance
            slow = chance.often("slow listing", 0.05)
            run.lag = chance.between("listing", *(SLOW_LISTING if slow else LISTING))
        return run.lag

    def polling(self, queue: str) -> "list[Worker]":
        return [worker for worker in self.workers.get(queue, []) if worker.polls]

    # Runs

    def current(self, workflow_id: str) -> Run | None:
        runs = self.runs.get(workflow_id)
        return runs[-1] if runs else None

    def find(self, workflow_id: str, run_id: str | None = None) -> Run:
        """Return a run, by default the newest; raise RPCError if there is none."""
        run = self.by_run.get(run_id) if run_id else self.current(workflow_id)
        if run is None or run.workflow_id != workflow_id or run.deleted:
            raise not_found(f"no workflow {workflow_id}")
        return run

    def add(self, run: Run) -> Run:
        run.made_at = self.world.now
        self.runs.setdefault(run.workflow_id, []).append(run)
        self.by_run[run.run_id] = run
        return run

    def start(
        self,
        type_: str,
        workflow_id: str,
        *,
        queue: str,
        args: Payloads,
        task_timeout: float,
        before: Run | None = None,
    ) -> Run:
        """The first run of a workflow, or the next one of `before`."""
        number = self.number()
        run_id = f"{workflow_id}/{number}"
        run = Run(
            workflow_id=workflow_id,
            run_id=run_id,
            type=type_,
            queue=queue,
            args=args,
            began=self.world.now,
            first_run_id=before.first_run_id if before else run_id,
            original_run_id=run_id,
            task_timeout=task_timeout,
            seed=number,
            continued_from=before.run_id if before else "",
        )
        self.add(run)
        run.write(self.world.now, "started", args=args, run_id=run_id)
        return run

    def all_runs(self) -> Iterator[Run]:
        for runs in self.runs.values():
            yield from runs

    # From outside

    def news(self, run: Run, kind: str, **data: Any) -> None:
        """Something that the workflow is to hear of; it waits while a task is under way."""
        if not run.is_open:
            return
        if run.task is not None and run.task.started is not None:
            run.buffered.append((kind, data))
        else:
            run.write(self.world.now, kind, **data)
            self.tasks.schedule(run)

    def signal(
        self, workflow_id: str, run_id: str | None, *, name: str, args: Payloads, key: str = ""
    ) -> None:
        """Signal an open run, once per `key`; RPCError where it has closed."""
        run = self.find(workflow_id, run_id)
        if not run.is_open:
            raise not_found("workflow execution already completed")
        if key in run.heard:
            return
        if key:
            run.heard.add(key)
        self.news(run, "signaled", name=name, args=args)

    def signal_with_start(
        self, type_: str, workflow_id: str, *, queue: str, task_timeout: float, signal: Any
    ) -> Run:
        """The open run of this id, or a new one; `signal`: a name and its arguments, or None."""
        run = self.current(workflow_id)
        if run is None or not run.is_open:
            none = self.table.of()
            run = self.start(
                type_, workflow_id, queue=queue, args=none, task_timeout=task_timeout, before=None
            )
            if signal is not None:
                run.write(self.world.now, "signaled", name=signal[0], args=signal[1])
            self.tasks.schedule(run)
        elif signal is not None:
            self.news(run, "signaled", name=signal[0], args=signal[1])
        return run

    def update(self, workflow_id: str, update: Update) -> None:
        """Admit an update to the newest run; RPCError where that has closed."""
        run = self.find(workflow_id)
        if not run.is_open:
            raise not_found("workflow execution already completed")
        run.updates[update.update_id] = update
        if run.task is None:
            self.tasks.schedule(run)

    def query(
        self, workflow_id: str, run_id: str | None, *, name: str, args: Payloads, done: Any
    ) -> None:
        """Ask a worker; without one there is no answer in time, and before the first task none."""
        run = self.find(workflow_id, run_id)
        if not run.records:
            raise RPCError("no task was completed", RPCStatusCode.FAILED_PRECONDITION, b"")
        workers = [run.sticky] if run.sticky and run.sticky.polls else self.polling(run.queue)
        if not workers:
            error = RPCError("no worker answers", RPCStatusCode.DEADLINE_EXCEEDED, b"")
            self.world.after(QUERY_SECONDS, done, None, error)
            return
        worker = self.world.chance.pick("query", workers)
        self.world.after(self.hop("query"), worker.query, run, name, args, done)

    def cancel(self, workflow_id: str, run_id: str | None = None) -> None:
        """Request cancellation; a second request of a run changes nothing."""
        run = self.find(workflow_id, run_id)
        if run.is_open and "cancel" not in run.heard:
            run.heard.add("cancel")
            self.news(run, "cancel_requested")

    def terminate(self, run: Run) -> None:
        if run.is_open:
            self.close(run, Status.TERMINATED)

    def delete(self, run: Run) -> None:
        """Have no memory of a run; one that is open is ended first."""
        self.terminate(run)
        run.deleted = True

    # Ends

    def close(self, run: Run, status: Status) -> None:
        """A run ends; whatever was under way for it is void."""
        for kind, data in run.buffered:
            run.write(self.world.now, kind, **data)
        run.buffered.clear()
        run.write(self.world.now, f"closed:{status.name}")
        run.closed_at = self.world.now
        run.end(status)
        for update in run.updates.values():
            if update.state is not UpdateState.ENDED:
                # Who has sent it sends it again, to the next run.
                update.end(done=False)
        waiting, run.waiting = run.waiting, []
        for tell in waiting:
            tell()
        self.on_close(run)
