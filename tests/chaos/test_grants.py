"""What counts as a grant in a semaphore's history."""

import json
from pathlib import Path

from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowHistory

from loadtest.books.raw import RunFolder
from services.semaphore.models import WATCH_RUN
from shared.slot.messages import DRAIN_ACTIVITY, JOB_GATE, Gate, semaphore_id
from tests.chaos.grants import grants


def begun(number: int, at: int, *, run_id: str, activity: str = WATCH_RUN) -> HistoryEvent:
    kind = EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED
    event = HistoryEvent(event_id=number, event_type=kind)
    attributes = event.activity_task_scheduled_event_attributes
    attributes.activity_type.name = activity
    body = {"permit": {"run_id": run_id}} if activity == WATCH_RUN else {"run_id": run_id}
    attributes.input.payloads.append(Payload(data=json.dumps(body).encode()))
    event.event_time.FromSeconds(at)
    return event


def keep(folder: RunFolder, gate: Gate, run_id: str, *events: HistoryEvent) -> None:
    name = semaphore_id(gate)
    text = WorkflowHistory(name, events).to_json()
    (folder.histories / f"{name}.{run_id}.json").write_text(text, encoding="utf-8")


def test_the_first_watch_of_a_run_counts_and_nothing_else(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, "run")
    keep(folder, JOB_GATE, "1", begun(1, 7, run_id="a"))
    # The semaphore that was rebuilt watches it again; a drain is no grant.
    drain = begun(2, 10, run_id="c", activity=DRAIN_ACTIVITY)
    keep(folder, JOB_GATE, "2", begun(1, 9, run_id="a"), drain)
    keep(folder, Gate.IMAGE, "3", begun(1, 6, run_id="b"))

    assert grants(folder) == {"a": 7.0}
