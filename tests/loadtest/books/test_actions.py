"""Actions of a history, counted by hand; and what the server says of heartbeats and queries."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from loadtest.books.actions import between, by_server, of_history
from tests.loadtest.forging.recorded import PLAIN, unpack

Event = dict[str, Any]
# By hand, of the 49 events of the job's history. Markers are in the tasks that were completed by
# the events 4 (three of them), 17, 24, 31, 37 and 43.
BY_HAND = {
    "start_workflow": 1,  # event 1, with its search attributes
    "update_workflow_options": 1,  # 8
    "signal_workflow": 4,  # 9 on_deck, 14 slot_granted, 34 report_progress, 40 kling_done
    "schedule_activity": 3,  # 13, 25, 33
    "start_timer": 1,  # 18
    "upsert_workflow_search_attributes": 2,  # 38, 46
    "record_activity_markers": 6,
}


def test_a_recorded_history_has_what_was_counted_by_hand(tmp_path: Path) -> None:
    histories = unpack(PLAIN, tmp_path / PLAIN).histories
    first = json.loads(min(histories.iterdir()).read_text("utf-8"))["events"]

    assert len(first) == 49
    assert of_history(first) == BY_HAND


def event(kind: str, **attributes: object) -> Event:
    return {"eventType": f"EVENT_TYPE_{kind}", "anyEventAttributes": attributes}


@pytest.mark.parametrize(
    ("found", "counted"),
    [
        (event("ACTIVITY_TASK_STARTED", attempt=3), {"retry_activity": 2}),
        (event("ACTIVITY_TASK_STARTED"), {}),
        (event("WORKFLOW_EXECUTION_UPDATE_ACCEPTED"), {"accept_workflow_update": 1}),
        (event("START_CHILD_WORKFLOW_EXECUTION_INITIATED"), {"start_child_workflow": 2}),
        (
            event(
                "WORKFLOW_TASK_COMPLETED",
                meteringMetadata={"nonfirstLocalActivityExecutionAttempts": 4},
            ),
            {"retry_activity_local": 4},
        ),
        (
            event(
                "UPSERT_WORKFLOW_SEARCH_ATTRIBUTES",
                searchAttributes={"indexedFields": {"TemporalChangeVersion": {}}},
            ),
            {},
        ),
        ({"eventType": "EVENT_TYPE_MARKER_RECORDED", "odd": 1}, {"record_activity_markers": 1}),
        ({}, {}),
    ],
)
def test_an_event_is_so_many_actions(found: Event, counted: dict[str, int]) -> None:
    assert of_history([found]) == counted


def test_what_a_reset_has_copied_counts_once() -> None:
    copied = [event("WORKFLOW_EXECUTION_STARTED"), event("TIMER_STARTED")]
    reset = event("WORKFLOW_TASK_FAILED", cause="WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW")

    assert of_history([*copied, reset, event("TIMER_STARTED")]) == {
        "reset_workflow": 1,
        "start_timer": 1,
    }


def test_the_server_counts_what_no_history_has() -> None:
    told = {"grpc_RecordActivityTaskHeartbeat": 7.0, "grpc_QueryWorkflow": 2, "new_one": 1}

    assert by_server(told) == {
        "record_activity_heartbeat": 7,
        "query_workflow": 2,
        "new_one": 1,
    }
    strange = {"grpc_QueryWorkflow": "many", "a": float("nan"), "b": float("inf")}
    assert by_server(strange) == {}


def test_what_came_between_two_readings_is_known_but_of_a_server_that_began_anew() -> None:
    first, last = Counter(a=2, b=1), Counter(a=5, b=1, c=1)

    assert between(first, last) == {"a": 3, "c": 1}
    assert between(last, first) is None
