"""The semaphore's grants, read from its kept histories alone."""

import json
from collections.abc import Iterable, Iterator
from datetime import UTC

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowHistory

from loadtest.books.raw import RunFolder
from services.semaphore.models import WATCH_RUN
from shared.slot.messages import JOB_GATE, semaphore_id


def grants(folder: RunFolder) -> dict[str, float]:
    """By run, when the semaphore first granted it the slot: its watch begins in that very step."""
    found: dict[str, float] = {}
    name = semaphore_id(JOB_GATE)
    for file in folder.histories.glob(f"{name}.*.json"):
        history = WorkflowHistory.from_json(name, file.read_text(encoding="utf-8"))
        for run_id, at in _granted(history.events):
            found[run_id] = min(at, found.get(run_id, at))
    return found


def _granted(events: Iterable[HistoryEvent]) -> Iterator[tuple[str, float]]:
    for event in events:
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
            begun = event.activity_task_scheduled_event_attributes
            if begun.activity_type.name == WATCH_RUN:
                [watch] = [json.loads(each.data) for each in begun.input.payloads]
                yield watch["permit"]["run_id"], event.event_time.ToDatetime(UTC).timestamp()
