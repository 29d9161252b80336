"""What counts as a grant in a semaphore's history."""

from pathlib import Path

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import WorkflowHistory

from loadtest.books.raw import RunFolder
from shared.slot.messages import GRANTED_SIGNAL, JOB_GATE, ON_DECK_SIGNAL, Gate, semaphore_id
from tests.chaos.grants import grants


def said(number: int, at: int, *, signal: str, run_id: str) -> HistoryEvent:
    kind = EventType.EVENT_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED
    event = HistoryEvent(event_id=number, event_type=kind)
    attributes = event.signal_external_workflow_execution_initiated_event_attributes
    attributes.signal_name = signal
    attributes.workflow_execution.run_id = run_id
    event.event_time.FromSeconds(at)
    return event


def keep(folder: RunFolder, gate: Gate, run_id: str, *events: HistoryEvent) -> None:
    name = semaphore_id(gate)
    text = WorkflowHistory(name, events).to_json()
    (folder.histories / f"{name}.{run_id}.json").write_text(text, encoding="utf-8")


def test_the_first_word_of_a_permit_counts_and_nothing_else(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path, "run")
    told = said(1, 5, signal=ON_DECK_SIGNAL, run_id="a")
    keep(folder, JOB_GATE, "1", told, said(2, 7, signal=GRANTED_SIGNAL, run_id="a"))
    # The semaphore that was rebuilt says it once more.
    keep(folder, JOB_GATE, "2", said(1, 9, signal=GRANTED_SIGNAL, run_id="a"))
    keep(folder, Gate.IMAGE, "3", said(1, 6, signal=GRANTED_SIGNAL, run_id="b"))

    assert grants(folder) == {"a": 7.0}
