"""A reset: a new run with the old one's history up to a task, and what was sent after it."""

from dataclasses import replace
from typing import TYPE_CHECKING

from tests.simulation.history import Reset, Run, Status, Update, UpdateState
from tests.simulation.tasks import deliver, start_timer

if TYPE_CHECKING:
    from tests.simulation.server import Server

ENDS = frozenset(
    {"activity_completed", "activity_failed", "activity_timed_out", "activity_canceled"}
)


def reset(server: "Server", run: Run, task: int) -> Run:
    """Back to before the end of the run's workflow task of that number, from 0."""
    if not 0 <= task < len(run.records):
        raise Reset(run.run_id)
    again = _copy(server, run, task)
    if run.is_open:
        server.close(run, Status.TERMINATED)
    server.add(again)
    _resume(server, again)
    _send_again(server, run, again)
    server.tasks.schedule(again)
    return again


def _copy(server: "Server", run: Run, task: int) -> Run:
    record = run.records[task]
    number = server.number()
    again = Run(
        workflow_id=run.workflow_id,
        run_id=f"{run.workflow_id}/{number}",
        type=run.type,
        queue=run.queue,
        args=run.args,
        began=run.began,
        first_run_id=run.first_run_id,
        original_run_id=run.original_run_id,
        task_timeout=run.task_timeout,
        seed=run.seed,
        continued_from=run.continued_from,
        memo=dict(run.memo),
        heard={key for key in run.heard if key != "cancel"},
    )
    again.events = [replace(event) for event in run.events[: record.seen]]
    again.records = list(run.records[:task])
    _copy_updates(again)
    if any(event.kind == "cancel_requested" for event in again.events):
        again.heard.add("cancel")
    again.write(server.world.now, "was_reset", seed=number)
    return again


def restored(server: "Server", at: float) -> None:
    """Restore every run as it was at that moment; tries and timers begin again."""
    for workflow_id, runs in list(server.runs.items()):
        old = [run for run in runs if run.made_at <= at and not run.deleted]
        for run in runs:
            del server.by_run[run.run_id]
            _end_silently(run)
        server.runs[workflow_id] = []
        for run in old:
            again = _as_of(run, at)
            server.runs[workflow_id].append(again)
            server.by_run[again.run_id] = again
        if not old:
            del server.runs[workflow_id]
    for run in list(server.by_run.values()):
        if run.is_open:
            _resume(server, run)
            if run.has_news():
                server.tasks.schedule(run)


def _end_silently(run: Run) -> None:
    """What was under way for the run of before the restore is void."""
    run.status, run.task = Status.TERMINATED, None
    for activity in run.activities.values():
        activity.ended = True
    run.activities.clear()
    run.timers.clear()


def _as_of(run: Run, at: float) -> Run:
    events = [replace(event) for event in run.events if event.at <= at]
    records = [record for record in run.records if record.done <= at]
    is_closed = any(event.kind.startswith("closed:") for event in events)
    again = replace(
        run,
        events=events,
        records=records,
        buffered=[],
        task=None,
        sticky=None,
        activities={},
        timers={},
        updates={},
        waiting=[],
        heard={key for key in run.heard if key != "cancel"},
    )
    if is_closed:
        name = events[-1].kind.removeprefix("closed:")
        again.status = next(status for status in Status if status.name == name)
    else:
        again.status, again.closed_at = Status.RUNNING, None
    if any(event.kind == "cancel_requested" for event in events):
        again.heard.add("cancel")
    _copy_updates(again)
    return again


def _resume(server: "Server", run: Run) -> None:
    """Start again what the history has left open: activities, timers, signals to others."""
    for number in sorted(_left_open(run)):
        event = run.events[number - 1]
        if event.kind == "activity_scheduled":
            server.activities.begin(run, event.data["wanted"], number)
        elif event.kind == "timer_started":
            start_timer(server, run, event.data["seq"], event.data["fires_at"])
        else:
            deliver(server, run, event.data)


def _copy_updates(run: Run) -> None:
    """Those that were accepted before the point, with what came of them."""
    for event in run.events:
        data = event.data
        if event.kind == "update_accepted":
            update = Update(data["id"], data["name"], data["args"], state=UpdateState.ACCEPTED)
            run.updates[update.update_id] = update
        elif event.kind == "update_completed":
            run.updates[data["id"]].state = UpdateState.ENDED


def _left_open(run: Run) -> set[int]:
    """The events whose end is not in the history: activities, timers, signals to others."""
    left: dict[tuple[str, int], int] = {}
    for event in run.events:
        seq = event.data.get("seq", 0)
        match event.kind:
            case "activity_scheduled":
                left["activity", seq] = event.number
            case "timer_started":
                left["timer", seq] = event.number
            case "external_signal_initiated":
                left["signal", seq] = event.number
            case "timer_fired" | "timer_canceled":
                left.pop(("timer", seq), None)
            case "external_signaled" | "external_signal_failed":
                left.pop(("signal", seq), None)
            case kind if kind in ENDS:
                left.pop(("activity", seq), None)
    return set(left.values())


def _send_again(server: "Server", run: Run, again: Run) -> None:
    """Signals and updates that came after the point, in their order."""
    for event in run.events[len(again.events) - 1 :]:
        if event.kind == "signaled":
            again.write(server.world.now, "signaled", **event.data)
        elif event.kind == "cancel_requested":
            again.write(server.world.now, "cancel_requested")
            again.heard.add("cancel")
        elif event.kind == "update_accepted":
            data = event.data
            again.updates[data["id"]] = Update(data["id"], data["name"], data["args"])
