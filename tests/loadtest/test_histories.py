"""When a job's slot began, read from its history."""

import json

import pytest
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.api.enums.v1 import EventType, WorkflowTaskFailedCause
from temporalio.api.history.v1 import (
    HistoryEvent,
    SignalExternalWorkflowExecutionInitiatedEventAttributes,
    WorkflowExecutionSignaledEventAttributes,
    WorkflowExecutionStartedEventAttributes,
    WorkflowTaskFailedEventAttributes,
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


def said(at: int, name: str, body: object) -> HistoryEvent:
    event = HistoryEvent(
        event_type=EventType.EVENT_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED,
        signal_external_workflow_execution_initiated_event_attributes=(
            SignalExternalWorkflowExecutionInitiatedEventAttributes(
                signal_name=name,
                input=Payloads(payloads=[Payload(data=json.dumps(body).encode())]),
            )
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


def reset(at: int, new_run_id: str) -> HistoryEvent:
    event = HistoryEvent(
        event_type=EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED,
        workflow_task_failed_event_attributes=WorkflowTaskFailedEventAttributes(
            cause=WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW,
            new_run_id=new_run_id,
        ),
    )
    event.event_time.FromSeconds(at)
    return event


def test_a_reset_run_has_the_slot_by_a_permit_of_its_own_alone() -> None:
    others, own = {**ARMED, "run_id": "run-8"}, {**ARMED, "run_id": "run-9"}
    events = [
        started(),
        signalled(5, "slot_granted", others),
        signalled(6, "begun"),
        reset(7, "run-9"),
        signalled(8, "slot_granted", others),
        signalled(9, "begun"),
        signalled(11, "slot_granted", own),
        signalled(12, "begun"),
    ]

    row = summarise("job-0", events)

    assert (row["run_id"], row["told"], row["granted"]) == ("run-9", 11.0, 12.0)


def test_a_permit_that_was_declined_gives_nothing_also_when_it_comes_again() -> None:
    """The keeper has not heard yet that the run stood down, and tells it what it had told it."""
    events = [
        started(),
        signalled(5, "slot_granted", ARMED),
        said(6, "disarmed", ARMED),
        signalled(7, "slot_granted", PLAIN),
        signalled(8, "slot_granted", {**ARMED, "token": 9}),
        signalled(11, "begun"),
    ]
    assert summarise("job-0", events)["granted"] == 11.0

    events.insert(4, signalled(7, "slot_granted", {**PLAIN, "round": 1}))
    assert summarise("job-0", events)["granted"] == 7.0
