"""When a job's slot began, read from its history."""

import json

import pytest
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import (
    HistoryEvent,
    WorkflowExecutionSignaledEventAttributes,
    WorkflowExecutionStartedEventAttributes,
)

from loadtest.histories import summarise


def signalled(at: int, name: str, body: object = None) -> HistoryEvent:
    event = HistoryEvent(
        event_type=EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED,
        workflow_execution_signaled_event_attributes=WorkflowExecutionSignaledEventAttributes(
            signal_name=name,
            input=Payloads(payloads=[Payload(data=json.dumps(body).encode())]),
        ),
    )
    event.event_time.FromSeconds(at)
    return event


def started() -> HistoryEvent:
    event = HistoryEvent(
        event_type=EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED,
        workflow_execution_started_event_attributes=WorkflowExecutionStartedEventAttributes(),
    )
    event.event_time.FromSeconds(1)
    return event


PLAIN = {"token": 7, "after": None}
ARMED = {"token": 7, "after": {"job_id": "job-1", "run_id": "run-1"}}


@pytest.mark.parametrize(
    ("signals", "granted"),
    [
        ([(5, "slot_granted", PLAIN)], 5.0),
        ([(5, "slot_granted", ARMED), (9, "begun", None)], 9.0),
        ([(5, "slot_granted", ARMED), (8, "slot_granted", PLAIN)], 8.0),
        ([(5, "slot_granted", ARMED)], None),
        ([(5, "kling_done", {})], None),
    ],
)
def test_the_slot_begins_when_it_is_the_jobs(
    signals: list[tuple[int, str, object]], granted: float | None
) -> None:
    events = [started(), *(signalled(*signal) for signal in signals)]
    assert summarise("job-0", events)["granted"] == granted
