"""The semaphore's grants, read from its kept histories alone."""

from collections.abc import Iterable, Iterator
from datetime import UTC

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowHistory

from loadtest.books.raw import RunFolder
from shared.slot.messages import GRANTED_SIGNAL, JOB_GATE, semaphore_id


def grants(folder: RunFolder) -> dict[str, float]:
    """By run, when the semaphore first granted it the slot: it says so in that very step."""
    found: dict[str, float] = {}
    name = semaphore_id(JOB_GATE)
    for file in folder.histories.glob(f"{name}.*.json"):
        history = WorkflowHistory.from_json(name, file.read_text(encoding="utf-8"))
        for run_id, at in _granted(history.events):
            found[run_id] = min(at, found.get(run_id, at))
    return found


def _granted(events: Iterable[HistoryEvent]) -> Iterator[tuple[str, float]]:
    for event in events:
        if event.event_type == EventType.EVENT_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED:
            said = event.signal_external_workflow_execution_initiated_event_attributes
            if said.signal_name == GRANTED_SIGNAL:
                at = event.event_time.ToDatetime(UTC).timestamp()
                yield said.workflow_execution.run_id, at
