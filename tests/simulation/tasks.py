"""Workflow tasks on the server's side: given to a worker, taken, failed, lost; and carried out."""

from typing import TYPE_CHECKING, Any

from temporalio.api.common.v1 import Payloads
from temporalio.bridge.proto.workflow_commands import WorkflowCommand
from temporalio.service import RPCError

from tests.simulation.history import NEWS, Run, Status, Task, TaskRecord, UpdateState

if TYPE_CHECKING:
    from tests.simulation.core import Answer
    from tests.simulation.server import Server
    from tests.simulation.worker import Worker

STICKY_SECONDS = 0.5
POLL_SECONDS = 0.2
# How much later a task is dispatched that a query has overtaken.
OVERTAKEN = (0.0, 0.2)


class Tasks:
    """One task at a time per run; what arrives meanwhile is in the next one."""

    def __init__(self, server: "Server") -> None:
        self._server = server
        self._world = server.world

    def schedule(self, run: Run, attempt: int = 1, *, first: float | None = None) -> None:
        """A task for whatever is new; nothing where there is one already.

        `first`: when its first try was scheduled.
        """
        if run.task is not None or not run.is_open:
            return
        run.tasks += 1
        at = self._world.now
        run.task = Task(run.tasks, attempt, at, at if first is None else first)
        if attempt == 1:
            run.write(self._world.now, "task_scheduled")
        pause = self._server.hop(f"task {run.workflow_id}")
        if self._is_overtaken(run):
            self._world.after(pause, self._look_ahead, run, run.task)
            pause += self._world.chance.between(f"ahead {run.workflow_id}", *OVERTAKEN)
        self._world.after(pause, self._dispatch, run, run.task)

    def _is_overtaken(self, run: Run) -> bool:
        return self._world.chance.often(f"ahead {run.workflow_id}", self._server.overtakes)

    def _look_ahead(self, run: Run, task: Task) -> None:
        """A query overtakes the task: where its worker has the run, it sees what is new already."""
        news = any(event.kind in NEWS for event in run.events[run.seen :])
        is_next = run.task is task and task.started is None
        if is_next and news and run.sticky is not None:
            run.sticky.look_ahead(run)

    def _dispatch(self, run: Run, task: Task) -> None:
        if run.task is not task or task.started is not None:
            return
        sticky = run.sticky
        if sticky is not None and not sticky.polls:
            if sticky.alive and self._world.chance.often(f"sticky {run.workflow_id}", 0.5):
                # It had asked for work before it was frozen.
                self._begin(run, task, sticky)
                return
            run.sticky = None
            self._world.after(STICKY_SECONDS, self._dispatch, run, task)
            return
        workers = [sticky] if sticky is not None else self._server.polling(run.queue)
        if workers:
            self._begin(run, task, self._world.chance.pick(f"worker {run.workflow_id}", workers))
        else:
            self._world.after(POLL_SECONDS, self._dispatch, run, task)

    def _begin(self, run: Run, task: Task, worker: "Worker") -> None:
        if task.attempt > 1:
            run.write(self._world.now, "task_scheduled")
        run.write(self._world.now, "task_started")
        task.started, task.began, task.worker = len(run.events), self._world.now, worker
        for update in run.updates.values():
            if update.state is UpdateState.ADMITTED:
                update.state = UpdateState.SENT
                task.updates.append(update)
        self._world.after(run.task_timeout, self._timed_out, run, task)
        self._world.after(self._server.hop(f"given {run.workflow_id}"), worker.take, run, task)

    def complete(self, run: Run, task: Task, answer: "Answer") -> bool:
        """Take a worker's answer; False where it comes too late, or something has come between."""
        if run.task is not task or task.started is None:
            return False
        admitted = any(update.state is UpdateState.ADMITTED for update in run.updates.values())
        closes = any(map(is_end, answer.commands))
        if closes and (run.buffered or admitted):
            self._void(run, task, "unhandled")
            self.schedule(run)
            return False
        if self._stops_what_has_ended(run, answer):
            # The core refuses it, too; the worker starts again with the whole history.
            self._void(run, task, "failed")
            self.schedule(run, task.attempt + 1, first=task.first_scheduled)
            return False
        self._record(run, task, answer)
        if run.is_open:
            self._go_on(run, task, force=answer.goes_on)
        self._server.on_task(run)
        return True

    def _stops_what_has_ended(self, run: Run, answer: "Answer") -> bool:
        """Whether an activity is to be cancelled whose end is in the history: by a run that has
        seen a signal ahead of it."""
        ended = {data["seq"] for kind, data in run.buffered if kind.startswith("activity_")}
        wanted = (each.request_cancel_activity for each in answer.commands)
        return any(each.seq and each.seq not in run.activities.keys() | ended for each in wanted)

    def _record(self, run: Run, task: Task, answer: "Answer") -> None:
        assert task.started is not None
        run.write(self._world.now, "task_completed")
        record = TaskRecord(
            seen=task.started,
            at=task.began,
            keys=answer.keys,
            markers=answer.markers,
            flags=answer.flags,
        )
        record.done = self._world.now
        run.records.append(record)
        for _ in answer.markers:
            run.write(self._world.now, "marker")
        apply(self._server, run, answer.commands)

    def _go_on(self, run: Run, task: Task, *, force: bool) -> None:
        run.task, run.sticky = None, task.worker
        self._back(task)
        self._flush(run)
        if force or run.has_news():
            self.schedule(run)

    def _flush(self, run: Run) -> None:
        buffered, run.buffered = run.buffered, []
        for kind, data in buffered:
            run.write(self._world.now, kind, **data)

    def _back(self, task: Task) -> None:
        """Updates that were not answered are sent again."""
        for update in task.updates:
            if update.state is UpdateState.SENT:
                update.state = UpdateState.ADMITTED

    def fail(self, run: Run, task: Task, why: str) -> None:
        """A worker says that it can't, which breaks a rule: it is told once, and ends the run."""
        if run.task is task:
            self._server.on_task_failure(run, why)
            self._server.close(run, Status.FAILED)

    def _timed_out(self, run: Run, task: Task) -> None:
        if run.task is task:
            self._void(run, task, "timed_out")
            self.schedule(run, task.attempt + 1, first=task.first_scheduled)

    def _void(self, run: Run, task: Task, how: str) -> None:
        """What the worker did in this task does not count."""
        if task.attempt > 1:
            del run.events[-2:]
        else:
            run.write(self._world.now, f"task_{how}")
        run.task = run.sticky = None
        self._back(task)
        self._flush(run)


CLOSING = frozenset(
    {
        "complete_workflow_execution",
        "fail_workflow_execution",
        "cancel_workflow_execution",
        "continue_as_new_workflow_execution",
    }
)


def is_end(command: WorkflowCommand) -> bool:
    return command.WhichOneof("variant") in CLOSING


def apply(server: "Server", run: Run, commands: list[WorkflowCommand]) -> None:
    for command in commands:
        kind, now = str(command.WhichOneof("variant")), server.world.now
        wanted: Any = getattr(command, kind)
        match kind:
            case "schedule_activity":
                server.activities.schedule(run, wanted)
            case "request_cancel_activity":
                run.write(now, "activity_cancel_requested", seq=wanted.seq)
                server.activities.request_cancel(run, wanted.seq)
            case "start_timer":
                fires_at = now + wanted.start_to_fire_timeout.ToNanoseconds() / 1e9
                run.write(now, "timer_started", seq=wanted.seq, fires_at=fires_at)
                start_timer(server, run, wanted.seq, fires_at)
            case "cancel_timer":
                _cancel_timer(server, run, wanted)
            case "signal_external_workflow_execution":
                _signal(server, run, wanted)
            case "upsert_workflow_search_attributes":
                run.write(now, "noted")
            case "modify_workflow_properties":
                run.write(now, "noted")
                run.memo.update(wanted.upserted_memo.fields)
            case "update_response":
                _answer(server, run, wanted)
            case "complete_workflow_execution":
                server.close(run, Status.COMPLETED)
            case "fail_workflow_execution":
                server.close(run, Status.FAILED)
            case "cancel_workflow_execution":
                server.close(run, Status.CANCELED)
            case "continue_as_new_workflow_execution":
                _continue(server, run, wanted)
            case _:
                raise LookupError(f"the simulated server knows no {kind}")


def start_timer(server: "Server", run: Run, seq: int, fires_at: float) -> None:
    """Also for a run that a reset has made."""
    run.timers[seq] = fires_at
    server.world.at(fires_at, _fire, server, run, seq)


def _fire(server: "Server", run: Run, seq: int) -> None:
    if run.timers.pop(seq, None) is not None:
        server.news(run, "timer_fired", seq=seq)


def _cancel_timer(server: "Server", run: Run, wanted: Any) -> None:
    run.write(server.world.now, "timer_canceled", seq=wanted.seq)
    run.timers.pop(wanted.seq, None)
    fired = ("timer_fired", {"seq": wanted.seq})
    if fired in run.buffered:
        run.buffered.remove(fired)


def _signal(server: "Server", run: Run, wanted: Any) -> None:
    target = wanted.workflow_execution
    data = {
        "seq": wanted.seq,
        "workflow_id": target.workflow_id,
        "run_id": target.run_id,
        "name": wanted.signal_name,
        "args": list(wanted.args),
        "key": f"{run.run_id} {wanted.seq}",
    }
    run.write(server.world.now, "external_signal_initiated", **data)
    deliver(server, run, data)


def deliver(server: "Server", run: Run, data: dict[str, Any]) -> None:
    """Bring a signal to another workflow, and word of it back."""
    hop = server.hop(f"external {run.workflow_id}")
    server.world.after(hop, _delivered, server, run, data)


def _delivered(server: "Server", run: Run, data: dict[str, Any]) -> None:
    try:
        server.signal(
            data["workflow_id"],
            data["run_id"] or None,
            name=data["name"],
            args=Payloads(payloads=data["args"]),
            key=data["key"],
        )
    except RPCError:
        server.news(run, "external_signal_failed", seq=data["seq"])
    else:
        server.news(run, "external_signaled", seq=data["seq"])


def _answer(server: "Server", run: Run, wanted: Any) -> None:
    """An update without a validator is accepted, and then completed or failed."""
    update = run.updates[wanted.protocol_instance_id]
    data = {"id": update.update_id, "name": update.name, "args": update.args}
    if wanted.HasField("accepted"):
        update.state = UpdateState.ACCEPTED
        run.write(server.world.now, "update_accepted", **data)
        run.records[-1].updates.append((update.update_id, update.name, update.args))
    else:
        run.write(server.world.now, "update_completed", **data)
        update.end(done=wanted.HasField("completed"))


def _continue(server: "Server", run: Run, wanted: Any) -> None:
    after = server.start(
        run.type,
        run.workflow_id,
        queue=run.queue,
        args=Payloads(payloads=wanted.arguments),
        task_timeout=run.task_timeout,
        before=run,
    )
    server.close(run, Status.CONTINUED_AS_NEW)
    server.tasks.schedule(after)
