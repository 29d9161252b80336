"""Stored histories replayed with the code as it is: running jobs must survive an upgrade.

When this goes red, the workflow's commands have changed. Where jobs of the old code may still
run, put the change behind `workflow.patched()`; where none can, record again with
`python -m tests.replay.record`.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer
from temporalio.workflow import NondeterminismError

from services.worker.workflows import GenVideoWorkflow
from shared.semaphore.runner import WorkflowRunner
from shared.semaphore.workflow import SemaphoreWorkflow
from shared.temporal.codec import PayloadKeys, data_converter

HISTORIES = {
    path.stem: path.read_text(encoding="utf-8")
    for path in sorted(Path(__file__).with_name("histories").glob("*.json"))
}


async def replay(text: str) -> None:
    replayer = Replayer(
        workflows=[GenVideoWorkflow, SemaphoreWorkflow],
        data_converter=data_converter(PayloadKeys()),
        workflow_runner=WorkflowRunner(),
    )
    [started, *_] = json.loads(text)["events"]
    workflow_id = started["workflowExecutionStartedEventAttributes"]["workflowId"]
    await replayer.replay_workflow(WorkflowHistory.from_json(workflow_id, text))


def test_there_are_histories_of_each_kind() -> None:
    assert set(HISTORIES) >= {
        *("semaphore", "succeeded", "degraded", "failed", "cancelled", "reset", "gated"),
    }


@pytest.mark.parametrize("name", HISTORIES)
async def test_stored_history_replays(name: str) -> None:
    await replay(HISTORIES[name])


async def test_history_of_other_code_does_not_replay() -> None:
    with pytest.raises(NondeterminismError):
        await replay(HISTORIES["failed"].replace('"gen_image"', '"gen_picture"'))


def told(value: Any) -> Iterator[dict[str, Any]]:
    """All payloads in a piece of a history."""
    if isinstance(value, list):
        for each in value:
            yield from told(each)
    elif isinstance(value, dict):
        if "encoding" in value.get("metadata", {}):
            yield value
        for each in value.values():
            yield from told(each)


def is_named(event: dict[str, Any]) -> bool:
    """Whether Temporal's UI has a place for a summary: an activity, a local one, a timer."""
    marker = event.get("markerRecordedEventAttributes", {}).get("markerName")
    begins = ("EVENT_TYPE_ACTIVITY_TASK_SCHEDULED", "EVENT_TYPE_TIMER_STARTED")
    return event["eventType"] in begins or marker == "core_local_activity"


@pytest.mark.parametrize("name", HISTORIES)
def test_temporal_ui_shows_each_step(name: str) -> None:
    events = json.loads(HISTORIES[name])["events"]

    silent = [event for event in events if is_named(event) and "userMetadata" not in event]
    empty = [payload for payload in told(events) if not payload.get("data")]

    assert not silent, "an activity or a timer has no summary"
    assert not empty, "the UI takes an empty payload for one that it can't read"
