"""What a completed workflow task asks of the server, carried out."""

from typing import TYPE_CHECKING, Any

from temporalio.api.common.v1 import Payloads
from temporalio.bridge.proto.workflow_commands import WorkflowCommand
from temporalio.service import RPCError

from tests.simulation.runs import Run, Status, Task, UpdateState

if TYPE_CHECKING:
    from tests.simulation.server import Server

CLOSING = frozenset(
    {
        "complete_workflow_execution",
        "fail_workflow_execution",
        "cancel_workflow_execution",
        "continue_as_new_workflow_execution",
    }
)


def is_end(command: WorkflowCommand) -> bool:
    """Whether a command ends its run."""
    return command.WhichOneof("variant") in CLOSING


def apply(server: "Server", run: Run, commands: list[WorkflowCommand], task: Task) -> None:
    """Carry them out in their order."""
    for command in commands:
        kind = command.WhichOneof("variant")
        handler = _HANDLERS.get(str(kind))
        if handler is None:
            raise LookupError(f"the simulated server knows no {kind}")
        handler(server, run, getattr(command, str(kind)), task)


def _schedule_activity(server: "Server", run: Run, wanted: Any, task: Task) -> None:
    server.activities.schedule(run, wanted)


def _cancel_activity(server: "Server", run: Run, wanted: Any, task: Task) -> None:
    run.write(server.world.now, "activity_cancel_requested", seq=wanted.seq)
    server.activities.request_cancel(run, wanted.seq)


def _start_timer(server: "Server", run: Run, wanted: Any, task: Task) -> None:
    seconds = wanted.start_to_fire_timeout.ToNanoseconds() / 1e9
    fires_at = server.world.now + seconds
    run.write(server.world.now, "timer_started", seq=wanted.seq, fires_at=fires_at)
    start_timer(server, run, wanted.seq, fires_at)


def start_timer(server: "Server", run: Run, seq: int, fires_at: float) -> None:
    """Also for a run that a reset has made."""
    run.timers[seq] = fires_at
    server.world.at(fires_at, _fire, server, run, seq)


def _fire(server: "Server", run: Run, seq: int) -> None:
    if run.timers.pop(seq, None) is not None:
        server.news(run, "timer_fired", seq=seq)


def _cancel_timer(server: "Server", run: Run, wanted: Any, task: Task) -> None:
    run.write(server.world.now, "timer_canceled", seq=wanted.seq)
    run.timers.pop(wanted.seq, None)
    fired = ("timer_fired", {"seq": wanted.seq})
    if fired in run.buffered:
        run.buffered.remove(fired)


def _signal(server: "Server", run: Run, wanted: Any, task: Task) -> None:
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


def _note(server: "Server", run: Run, wanted: Any, task: Task) -> None:
    run.write(server.world.now, "noted")


def _memo(server: "Server", run: Run, wanted: Any, task: Task) -> None:
    run.write(server.world.now, "noted")
    for name, payload in wanted.upserted_memo.fields.items():
        run.memo[name] = payload


def _answer(server: "Server", run: Run, wanted: Any, task: Task) -> None:
    update = run.updates[wanted.protocol_instance_id]
    kind = wanted.WhichOneof("response")
    if kind == "accepted":
        update.state = UpdateState.ACCEPTED
        event = run.write(
            server.world.now, "update_accepted", id=update.update_id, name=update.name,
            args=update.args,
        )  # fmt: skip
        update.accepted = event.number
        run.records[-1].updates.append((update.update_id, update.name, update.args))
        server.on_answer(run, update)
        return
    result = wanted.completed if kind == "completed" else None
    failure = wanted.rejected if kind == "rejected" else None
    if update.state is UpdateState.ACCEPTED:
        run.write(
            server.world.now, "update_completed", id=update.update_id, accepted=update.accepted,
            result=result,
        )  # fmt: skip
    update.end(result=result, failure=failure)
    server.on_answer(run, update)


def _complete(server: "Server", run: Run, wanted: Any, task: Task) -> None:
    server.close(run, Status.COMPLETED)


def _fail(server: "Server", run: Run, wanted: Any, task: Task) -> None:
    server.close(run, Status.FAILED, wanted.failure)


def _cancel(server: "Server", run: Run, wanted: Any, task: Task) -> None:
    server.close(run, Status.CANCELED)


def _continue(server: "Server", run: Run, wanted: Any, task: Task) -> None:
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


_HANDLERS = {
    "schedule_activity": _schedule_activity,
    "request_cancel_activity": _cancel_activity,
    "start_timer": _start_timer,
    "cancel_timer": _cancel_timer,
    "signal_external_workflow_execution": _signal,
    "upsert_workflow_search_attributes": _note,
    "modify_workflow_properties": _memo,
    "set_patch_marker": _note,
    "update_response": _answer,
    "complete_workflow_execution": _complete,
    "fail_workflow_execution": _fail,
    "cancel_workflow_execution": _cancel,
    "continue_as_new_workflow_execution": _continue,
}
