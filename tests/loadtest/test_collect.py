"""What is read of the stack: histories, the jobs that are followed, files."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.api.enums.v1 import EventType, WorkflowTaskFailedCause
from temporalio.api.history.v1 import (
    ActivityTaskCompletedEventAttributes,
    ActivityTaskStartedEventAttributes,
    HistoryEvent,
    WorkflowExecutionSignaledEventAttributes,
    WorkflowExecutionStartedEventAttributes,
    WorkflowTaskFailedEventAttributes,
)

from loadtest.collect.collector import _stored
from loadtest.collect.histories import summarise
from loadtest.collect.tracker import Tracker


@pytest.mark.parametrize("end", ["png", "jpg", "webp"])
def test_an_image_is_found_by_any_of_its_names(tmp_path: Path, end: str) -> None:
    assert _stored(tmp_path, "image") is None
    (tmp_path / ".image.0123.part").write_bytes(b"half")
    (tmp_path / "video.mp4").write_bytes(b"video")
    assert _stored(tmp_path, "image") is None
    (tmp_path / f"image.{end}").write_bytes(b"whole")
    assert _stored(tmp_path, "image") == b"whole"


def test_of_two_the_newer_one_is_the_jobs(tmp_path: Path) -> None:
    for age, end in enumerate(("png", "jpg")):
        path = tmp_path / f"image.{end}"
        path.write_bytes(end.encode())
        os.utime(path, (1000 - age, 1000 - age))
    assert _stored(tmp_path, "image") == b"png"


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


PERMIT = {"gate": "job", "token": 7}


@pytest.mark.parametrize(
    ("signals", "granted"),
    [
        ([(5, "slot_granted", PERMIT)], 5.0),
        ([(5, "slot_granted", PERMIT), (8, "slot_granted", PERMIT)], 5.0),
        ([(5, "slot_granted", {**PERMIT, "gate": "image"}), (6, "slot_granted", PERMIT)], 6.0),
        ([(5, "queue_full", 12_000)], None),
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
    others, own = {**PERMIT, "run_id": "run-8"}, {**PERMIT, "run_id": "run-9"}
    events = [
        started(),
        signalled(5, "slot_granted", others),
        reset(7, "run-9"),
        signalled(8, "slot_granted", others),
        signalled(11, "slot_granted", own),
    ]

    row = summarise("job-0", events)

    assert (row["run_id"], row["granted"]) == ("run-9", 11.0)


def scheduled(at: int, number: int) -> HistoryEvent:
    event = HistoryEvent(event_id=number, event_type=EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED)
    event.event_time.FromSeconds(at)
    return event


def ordered(at: int, number: int, body: object) -> HistoryEvent:
    event = scheduled(at, number)
    payload = Payload(data=json.dumps(body).encode())
    event.activity_task_scheduled_event_attributes.input.payloads.append(payload)
    return event


def asked(at: int, activity: str) -> HistoryEvent:
    event = HistoryEvent(event_type=EventType.EVENT_TYPE_MARKER_RECORDED)
    payload = Payload(data=json.dumps({"activity_type": activity}).encode())
    details = event.marker_recorded_event_attributes.details
    details["data"].CopyFrom(Payloads(payloads=[payload]))
    event.event_time.FromSeconds(at)
    return event


def test_an_order_tells_its_attempt_and_its_permit() -> None:
    order = {"step": "video", "attempt": 2, "token": 7, "request": {"job_id": "job-0"}}
    events = [started(), ordered(3, 10, order), ordered(4, 20, {"accepted": {}})]

    assert summarise("job-0", events)["orders"] == [{"step": "video", "attempt": 2, "token": 7}]


def test_a_job_asks_as_it_enters_the_queue() -> None:
    events = [started(), asked(2, "record_state"), asked(3, "enter_queue")]

    assert summarise("job-0", events)["asked"] == 3.0


def began(at: int, number: int) -> HistoryEvent:
    event = HistoryEvent(
        event_type=EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED,
        activity_task_started_event_attributes=ActivityTaskStartedEventAttributes(
            scheduled_event_id=number, attempt=1
        ),
    )
    event.event_time.FromSeconds(at)
    return event


def completed(at: int, number: int) -> HistoryEvent:
    event = HistoryEvent(
        event_type=EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED,
        activity_task_completed_event_attributes=ActivityTaskCompletedEventAttributes(
            scheduled_event_id=number
        ),
    )
    event.event_time.FromSeconds(at)
    return event


def test_only_one_activity_straight_behind_another_is_a_plain_hop() -> None:
    """An activity that a permit brought about is none."""
    events = [
        started(),
        signalled(2, "slot_granted", PERMIT),
        scheduled(3, 10),
        began(4, 10),
        signalled(50, "report_progress", {"percent": 50}),
        completed(60, 10),
        scheduled(61, 20),
        began(62, 20),
        completed(70, 20),
        signalled(71, "slot_granted", {**PERMIT, "gate": "video"}),
        scheduled(72, 30),
        began(73, 30),
    ]
    assert summarise("job-0", events)["hops"] == [2.0]


def job(job_id: str, version: int, status: str, *, tag: str = "mine") -> dict[str, Any]:
    return {"job_id": job_id, "tag": tag, "version": version, "status": status}


def test_a_job_is_open_until_its_end_was_seen() -> None:
    tracker = Tracker("mine")
    tracker.expect("a")
    tracker.see(job("a", 1, "running"), source="ws")

    assert tracker.open == {"a"}
    tracker.see(job("a", 2, "succeeded"), source="ws")
    assert tracker.open == set()
    assert tracker.ended == 1


def test_an_end_seen_before_the_submits_answer_counts() -> None:
    tracker = Tracker("mine")
    tracker.see(job("a", 3, "succeeded"), source="ws")
    tracker.expect("a")

    assert tracker.open == set()


def test_old_news_changes_nothing_and_is_noted_when_the_feed_went_back() -> None:
    tracker = Tracker("mine")
    for version, source in ((2, "ws"), (1, "poll"), (1, "ws"), (2, "ws")):
        tracker.see(job("a", version, "running"), source=source)

    assert tracker.jobs["a"]["version"] == 2
    assert [frame["version"] for frame in tracker.take_frames()] == [2, 1]
    assert tracker.take_frames() == []
    assert tracker.counts == {"running": 1}


def test_others_jobs_are_left_out() -> None:
    tracker = Tracker("mine")
    tracker.see(job("a", 1, "running", tag="theirs"), source="ws")

    assert tracker.known == set()
