"""What one Temporal history says about a job; a pure reading of its events."""

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import EventType, WorkflowTaskFailedCause
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import HistoryEvent

GRANT = re.compile(r"grant|permit|slot", re.IGNORECASE)
# The local activity by which a job asks for the slot.
ASK = re.compile(r"request.*(slot|permit)|enter_queue", re.IGNORECASE)
# The gate whose permit is the slot; a system without gates names none.
SLOT = {"job"}
# What a workflow's own step may leave between two activities.
_OF_A_STEP = frozenset(
    {
        EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED,
        EventType.EVENT_TYPE_WORKFLOW_TASK_STARTED,
        EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED,
        EventType.EVENT_TYPE_MARKER_RECORDED,
        EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES,
        EventType.EVENT_TYPE_WORKFLOW_PROPERTIES_MODIFIED,
    }
)
_CLOSES = {
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED: "COMPLETED",
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED: "FAILED",
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT: "TIMED_OUT",
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED: "CANCELED",
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED: "TERMINATED",
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW: "CONTINUED_AS_NEW",
}
_ENDS = {
    EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED: (
        "completed",
        "activity_task_completed_event_attributes",
    ),
    EventType.EVENT_TYPE_ACTIVITY_TASK_FAILED: ("failed", "activity_task_failed_event_attributes"),
    EventType.EVENT_TYPE_ACTIVITY_TASK_TIMED_OUT: (
        "timed_out",
        "activity_task_timed_out_event_attributes",
    ),
    EventType.EVENT_TYPE_ACTIVITY_TASK_CANCELED: (
        "cancelled",
        "activity_task_canceled_event_attributes",
    ),
}


def summarise(job_id: str, events: Sequence[HistoryEvent]) -> dict[str, Any]:
    """One row of the Temporal book: instants, cost, signals, activities, plain hops."""
    first, last = events[0], events[-1]
    started = first.workflow_execution_started_event_attributes
    signals = list(_signals(events))
    run_id, own = _own(events)
    return {
        "job_id": job_id,
        "run_id": run_id,
        "type": started.workflow_type.name,
        "status": _CLOSES.get(last.event_type, "RUNNING"),
        "started": _at(first.event_time),
        "closed": _at(last.event_time) if last.event_type in _CLOSES else None,
        "asked": _asked(own),
        "granted": _granted(own, run_id),
        "signals": signals,
        "activities": _activities(events),
        "orders": list(_orders(events)),
        "results": list(_results(events)),
        "hops": list(_hops(events)),
        "events": len(events),
        "workflow_tasks": sum(
            event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED for event in events
        ),
        "bytes": sum(event.ByteSize() for event in events),
    }


def is_closed(events: Sequence[HistoryEvent]) -> bool:
    return bool(events) and events[-1].event_type in _CLOSES


def _signals(events: Iterable[HistoryEvent]) -> Iterable[tuple[str, float]]:
    for event in events:
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED:
            attributes = event.workflow_execution_signaled_event_attributes
            yield attributes.signal_name, _at(event.event_time)


def _own(events: Sequence[HistoryEvent]) -> tuple[str, Sequence[HistoryEvent]]:
    """The run's id, and what is its own: a reset copies the events of the run before it."""
    for place in range(len(events) - 1, -1, -1):
        if events[place].event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED:
            failed = events[place].workflow_task_failed_event_attributes
            if failed.cause == WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW:
                return failed.new_run_id, events[place + 1 :]
    first = events[0].workflow_execution_started_event_attributes
    return first.original_execution_run_id, events


def _asked(events: Iterable[HistoryEvent]) -> float | None:
    """When the run first asked for the slot."""
    for event in events:
        if event.event_type == EventType.EVENT_TYPE_MARKER_RECORDED:
            data = event.marker_recorded_event_attributes.details["data"].payloads
            kind = next((body["activity_type"] for body in _bodies(data, "activity_type")), "")
            if ASK.search(str(kind)):
                return _at(event.event_time)
    return None


def _granted(events: Iterable[HistoryEvent], run_id: str) -> float | None:
    """When the run first heard that the slot is its own; a moment after whoever asked for it did.

    A reset hands on the signals of the run before, and the gate of a stage has permits, too.
    """
    for event in events:
        if event.event_type != EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED:
            continue
        signal = event.workflow_execution_signaled_event_attributes
        payloads = signal.input.payloads
        named = {body["run_id"] for body in _bodies(payloads, "run_id")}
        gates = {body["gate"] for body in _bodies(payloads, "gate")}
        if GRANT.search(signal.signal_name) and named <= {run_id} and gates <= SLOT:
            return _at(event.event_time)
    return None


def _bodies(payloads: Iterable[Payload], key: str) -> Iterable[dict[str, Any]]:
    """The payloads that are objects with a value under this key."""
    for payload in payloads:
        try:
            body = json.loads(payload.data)
        except ValueError:
            continue
        if isinstance(body, dict) and body.get(key):
            yield body


def _orders(events: Iterable[HistoryEvent]) -> Iterable[dict[str, Any]]:
    """Each attempt that the workflow ordered of a stage, and under which permit."""
    for event in events:
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
            payloads = event.activity_task_scheduled_event_attributes.input.payloads
            for body in _bodies(payloads, "attempt"):
                yield {
                    "step": body.get("step"),
                    "attempt": body["attempt"],
                    "token": body.get("token"),
                }


def _results(events: Iterable[HistoryEvent]) -> Iterable[dict[str, Any]]:
    """What activities brought back, local ones included: task and file."""
    for event in events:
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
            payloads = list(event.activity_task_completed_event_attributes.result.payloads)
        elif event.event_type == EventType.EVENT_TYPE_MARKER_RECORDED:
            details = event.marker_recorded_event_attributes.details
            payloads = list(details["result"].payloads) if "result" in details else []
        else:
            continue
        for body in _bodies(payloads, "vendor_id"):
            asset = body.get("asset") or {}
            yield {"vendor_id": body["vendor_id"], "sha256": asset.get("sha256")}


def _activities(events: Iterable[HistoryEvent]) -> list[dict[str, Any]]:
    found: dict[int, dict[str, Any]] = {}
    for event in events:
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
            scheduled = event.activity_task_scheduled_event_attributes
            found[event.event_id] = {
                "type": scheduled.activity_type.name,
                "scheduled": _at(event.event_time),
                "started": None,
                "ended": None,
                "attempt": 0,
                "outcome": "open",
                "error": None,
            }
        elif event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED:
            start = event.activity_task_started_event_attributes
            row = found.get(start.scheduled_event_id)
            if row is not None:
                row["started"], row["attempt"] = _at(event.event_time), start.attempt
                row["error"] = (
                    _error(start.last_failure) if start.HasField("last_failure") else None
                )
        elif event.event_type in _ENDS:
            _end(found, event)
    return list(found.values())


def _end(found: dict[int, dict[str, Any]], event: HistoryEvent) -> None:
    outcome, field = _ENDS[event.event_type]
    attributes = getattr(event, field)
    row = found.get(attributes.scheduled_event_id)
    if row is None:
        return
    row["ended"], row["outcome"] = _at(event.event_time), outcome
    if outcome in ("failed", "timed_out") and attributes.HasField("failure"):
        row["error"] = _error(attributes.failure)


def _error(failure: Failure) -> dict[str, str]:
    """The failure's own class and message; an activity's wrapper adds nothing."""
    kind = failure.application_failure_info.type or str(failure.WhichOneof("failure_info") or "")
    return {"class": kind.removesuffix("_failure_info"), "message": failure.message[:500]}


def _hops(events: Sequence[HistoryEvent]) -> Iterable[float]:
    """From an activity's completion to the next one's start, where nothing else woke the job.

    This is what one plain step costs (with the record that is written in it), to compare the
    hand-over between jobs with.
    """
    completed: float | None = None
    scheduled: int | None = None
    for event in events:
        kind = event.event_type
        if kind == EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
            completed, scheduled = _at(event.event_time), None
        elif kind == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED and completed is not None:
            scheduled = event.event_id
        elif kind == EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED:
            start = event.activity_task_started_event_attributes
            first = start.scheduled_event_id == scheduled and start.attempt == 1
            if completed is not None and first:
                yield round(_at(event.event_time) - completed, 6)
            completed = scheduled = None
        elif kind not in _OF_A_STEP:
            completed = scheduled = None


def _at(stamp: Timestamp) -> float:
    return round(stamp.seconds + stamp.nanos / 1e9, 6)
