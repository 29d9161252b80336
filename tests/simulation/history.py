"""A run's history as the simulated server keeps it: events, and each completed workflow task."""

from dataclasses import dataclass, field
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.api.enums.v1 import EventType, TimeoutType, WorkflowTaskFailedCause
from temporalio.api.history.v1 import HistoryEvent

UNHANDLED = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_UNHANDLED_COMMAND
FAILURE = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_WORKFLOW_WORKER_UNHANDLED_FAILURE
# Events that wake a workflow; all others only tell what it has done itself.
NEWS = frozenset(
    {
        "started",
        "signaled",
        "cancel_requested",
        "activity_completed",
        "activity_failed",
        "activity_timed_out",
        "activity_canceled",
        "timer_fired",
        "external_signaled",
        "external_signal_failed",
        "was_reset",
        "update_admitted",
    }
)


@dataclass(slots=True)
class Event:
    """One event; `data` holds what its kind needs."""

    number: int
    at: float
    kind: str
    data: dict[str, Any]


@dataclass(slots=True)
class Marker:
    """What a local activity came to; `activation`: which one of its task told the workflow."""

    seq: int
    at: float
    payload: Payload | None
    failure: Any = None
    cancelled: bool = False
    activation: int = 0


@dataclass(slots=True)
class TaskRecord:
    """A workflow task that the server took: what it saw, and what came of it.

    `seen`: how many events there were when it began; `keys`: the commands, in a form that a replay
    can be compared with.
    """

    seen: int
    at: float
    keys: list[str]
    markers: list[Marker]
    flags: frozenset[int]
    patches: list[str] = field(default_factory=list)
    updates: list[tuple[str, str, Payloads]] = field(default_factory=list)
    # When the server took it.
    done: float = 0.0


def timestamp(at: float) -> Timestamp:
    """A moment as protobuf has it, to the microsecond."""
    micros = round(at * 1e6)
    return Timestamp(seconds=micros // 1_000_000, nanos=micros % 1_000_000 * 1000)


def to_proto(event: Event) -> HistoryEvent:
    """The event as the semaphore reads it, when it rebuilds; other kinds are empty."""
    proto = HistoryEvent(event_id=event.number, event_time=timestamp(event.at))
    data = event.data
    match event.kind:
        case "started":
            proto.event_type = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED
            started = proto.workflow_execution_started_event_attributes
            started.input.CopyFrom(data["args"])
            started.original_execution_run_id = data["run_id"]
        case "signaled":
            proto.event_type = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED
            signal = proto.workflow_execution_signaled_event_attributes
            signal.signal_name = data["name"]
            signal.input.CopyFrom(data["args"])
        case "activity_scheduled":
            proto.event_type = EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED
            scheduled = proto.activity_task_scheduled_event_attributes
            scheduled.activity_type.name = data["type"]
            scheduled.input.payloads.extend(data["args"])
        case "activity_completed":
            proto.event_type = EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED
            completed = proto.activity_task_completed_event_attributes
            completed.scheduled_event_id = data["scheduled"]
            if data["result"] is not None:
                completed.result.payloads.append(data["result"])
        case "external_signal_initiated":
            proto.event_type = EventType.EVENT_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED
            said = proto.signal_external_workflow_execution_initiated_event_attributes
            said.workflow_execution.workflow_id = data["workflow_id"]
            said.workflow_execution.run_id = data["run_id"]
            said.signal_name = data["name"]
            said.input.payloads.extend(data["args"])
        case "task_completed":
            proto.event_type = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
        case "task_timed_out":
            proto.event_type = EventType.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT
            timed_out = proto.workflow_task_timed_out_event_attributes
            timed_out.timeout_type = TimeoutType.TIMEOUT_TYPE_START_TO_CLOSE
        case "task_failed" | "task_unhandled":
            proto.event_type = EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED
            failed = proto.workflow_task_failed_event_attributes
            failed.cause = UNHANDLED if event.kind == "task_unhandled" else FAILURE
        case "update_accepted":
            proto.event_type = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED
            accepted = proto.workflow_execution_update_accepted_event_attributes
            accepted.protocol_instance_id = data["id"]
            accepted.accepted_request.input.name = data["name"]
            accepted.accepted_request.input.args.CopyFrom(data["args"])
        case "update_completed":
            proto.event_type = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_COMPLETED
            done = proto.workflow_execution_update_completed_event_attributes
            done.meta.update_id = data["id"]
            done.accepted_event_id = data["accepted"]
            if data["result"] is not None:
                done.outcome.success.payloads.append(data["result"])
    return proto
