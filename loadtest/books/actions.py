"""Billable actions, by the names of Temporal Cloud: those in a history, and those by the server.

Which event is which action is at docs.temporal.io/cloud/actions. Heartbeats and queries leave no
event, so that the server alone can count them.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Any

HEARTBEAT = "record_activity_heartbeat"
FREE = frozenset({"modify_workflow_properties"})
"""What the server counts and the published list has not."""
_EVENTS = {
    "WORKFLOW_EXECUTION_STARTED": {"start_workflow": 1},
    "WORKFLOW_EXECUTION_SIGNALED": {"signal_workflow": 1},
    "WORKFLOW_EXECUTION_UPDATE_ACCEPTED": {"accept_workflow_update": 1},
    "WORKFLOW_EXECUTION_OPTIONS_UPDATED": {"update_workflow_options": 1},
    "UPSERT_WORKFLOW_SEARCH_ATTRIBUTES": {"upsert_workflow_search_attributes": 1},
    "ACTIVITY_TASK_SCHEDULED": {"schedule_activity": 1},
    "TIMER_STARTED": {"start_timer": 1},
    # Its intent and its start.
    "START_CHILD_WORKFLOW_EXECUTION_INITIATED": {"start_child_workflow": 2},
}
_BY_SERVER = {
    "grpc_StartWorkflowExecution": "start_workflow",
    "grpc_SignalWorkflowExecution": "signal_workflow",
    "grpc_SignalWithStartWorkflowExecution": "signal_workflow_with_start",
    "grpc_QueryWorkflow": "query_workflow",
    "grpc_RecordActivityTaskHeartbeat": HEARTBEAT,
    "grpc_UpdateWorkflowExecutionOptions": "update_workflow_options",
    "grpc_ResetWorkflowExecution": "reset_workflow",
    "activity_retry": "retry_activity",
    "command_BatchMarkers": "record_activity_markers",
    "command_ContinueAsNewWorkflowExecution": "continue_as_new_workflow",
    "command_ModifyWorkflowProperties": "modify_workflow_properties",
    "command_ScheduleActivityTask": "schedule_activity",
    "command_SignalExternalWorkflowExecution": "signal_external_workflow",
    "command_StartTimer": "start_timer",
    "command_UpsertWorkflowSearchAttributes": "upsert_workflow_search_attributes",
    "message_UpdateWorkflowExecution_Acceptance": "accept_workflow_update",
    "message_UpdateWorkflowExecution_Rejection": "reject_workflow_update",
}
_CHANGES = {"TemporalChangeVersion"}
_MOST = 1e15
Event = dict[str, Any]


def of_history(events: Iterable[Event]) -> Counter[str]:
    """The actions that a history tells of; what a reset has copied counts with the run before."""
    found: Counter[str] = Counter()
    with_markers: set[Any] = set()
    for event in events:
        kind, details = _read(event)
        if kind == "WORKFLOW_TASK_FAILED" and str(details.get("cause")).endswith("RESET_WORKFLOW"):
            found, with_markers = Counter(reset_workflow=1), set()
        elif kind == "MARKER_RECORDED":
            # All of one workflow task are one action.
            with_markers.add(details.get("workflowTaskCompletedEventId"))
        else:
            found += _of_event(kind, details)
    return found + Counter(record_activity_markers=len(with_markers))


def _read(event: Event) -> tuple[str, Event]:
    found = next((v for k, v in event.items() if k.endswith("EventAttributes")), None)
    details = found if isinstance(found, dict) else {}
    return str(event.get("eventType")).removeprefix("EVENT_TYPE_"), details


def _of_event(kind: str, details: Event) -> Counter[str]:
    if kind == "ACTIVITY_TASK_STARTED":
        return Counter(retry_activity=int(details.get("attempt") or 1) - 1)
    if kind == "WORKFLOW_TASK_COMPLETED":
        retried = (details.get("meteringMetadata") or {}).get(
            "nonfirstLocalActivityExecutionAttempts"
        )
        return Counter(retry_activity_local=int(retried or 0))
    if kind == "UPSERT_WORKFLOW_SEARCH_ATTRIBUTES" and _of_the_sdk(details):
        return Counter()
    return Counter(_EVENTS.get(kind, {}))


def _of_the_sdk(details: Event) -> bool:
    """Whether nothing is set but which changes of the code the workflow knows: that is free."""
    return set((details.get("searchAttributes") or {}).get("indexedFields") or {}) == _CHANGES


def by_server(counts: dict[str, Any]) -> Counter[str]:
    """The server's count by the names of the list; what has none there keeps its own."""
    found: Counter[str] = Counter()
    for kind, count in counts.items():
        if isinstance(count, int | float) and abs(count) < _MOST:
            found[_BY_SERVER.get(kind, kind)] += round(count)
    return found


def between(begin: Counter[str], end: Counter[str]) -> Counter[str] | None:
    """What was counted from one reading to the next; None where the server began anew meanwhile."""
    if any(end[kind] < count for kind, count in begin.items()):
        return None
    return end - begin
