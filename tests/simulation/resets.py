"""A reset: a new run with the old one's history up to a task, and what was sent after it."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tests.simulation.history import Event, Reset, Run, Status, TaskRecord, Update, UpdateState
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
    record, number = run.records[task], server.number()
    again = _beginning(
        run,
        run.events[: record.seen],
        run.records[:task],
        run_id=f"{run.workflow_id}/{number}",
        status=Status.RUNNING,
        closed_at=None,
        tasks=0,
        lag=None,
    )
    again.write(server.world.now, "was_reset", seed=number)
    if run.is_open:
        server.close(run, Status.TERMINATED)
    server.add(again)
    _resume(server, again)
    _send_again(server, run, again)
    server.tasks.schedule(again)
    return again


def restored(server: "Server", at: float) -> None:
    """Restore every run as it was at that moment; tries and timers begin again."""
    for workflow_id, runs in list(server.runs.items()):
        old = [run for run in runs if run.made_at <= at and not run.deleted]
        for run in runs:
            del server.by_run[run.run_id]
            run.end(Status.TERMINATED)
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


def _as_of(run: Run, at: float) -> Run:
    events = [event for event in run.events if event.at <= at]
    again = _beginning(run, events, [record for record in run.records if record.done <= at])
    ends = [event.kind for event in events if event.kind.startswith("closed:")]
    if ends:
        name = ends[-1].removeprefix("closed:")
        again.status = next(status for status in Status if status.name == name)
    else:
        again.status, again.closed_at = Status.RUNNING, None
    return again


def _beginning(run: Run, events: list[Event], records: list[TaskRecord], **others: Any) -> Run:
    """The run with these events only, and nothing of it under way; `others`: other fields."""
    again = replace(
        run,
        events=[replace(event) for event in events],
        records=list(records),
        buffered=[],
        task=None,
        sticky=None,
        activities={},
        timers={},
        updates={},
        memo=dict(run.memo),
        waiting=[],
        heard={key for key in run.heard if key != "cancel"},
        **others,
    )
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
