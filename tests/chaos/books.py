"""What a chaos run leaves behind for its judgement: books of others, and what was done to whom."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client, WorkflowHistory

from loadtest.books import raw
from loadtest.books.load import load
from loadtest.books.model import Books
from loadtest.books.raw import RunFolder
from loadtest.judge.judge import Judgement, judge_books
from services.worker.workflows import GenVideoWorkflow
from shared.jobs.slots import JOB_GATE
from shared.replay.replaying import replay as replay_all
from shared.semaphore.messages import semaphore_id
from shared.semaphore.state import WATCH_RUN
from shared.semaphore.workflow import SemaphoreWorkflow
from shared.temporal.codec import PayloadKeys
from tests.chaos.schedule import Kind


@dataclass(frozen=True)
class Evidence:
    """All that a finished run has left in its folder.

    `slots` as `GET /slots` showed them at the end. `tail`: jobs that were submitted after the last
    strike. `grants`: by run, when the semaphore granted it the slot, as its own histories tell.
    """

    books: Books
    slots: Mapping[str, Any]
    tail: frozenset[str]
    grants: Mapping[str, float]

    @classmethod
    def of(cls, folder: RunFolder) -> Self:
        """All evidence of a run, from its folder alone."""
        known = folder.read(raw.CHAOS)
        return cls(
            load(folder),
            known["slots"],
            tail=frozenset(known["tail"]),
            grants=grants(folder),
        )

    @cached_property
    def judged(self) -> Judgement:
        """What the load test's judge says of these books."""
        return judge_books(self.books)

    def was_struck_by(self, job_id: str) -> frozenset[Kind]:
        """What was done to a job; mostly nothing."""
        return frozenset(map(Kind, self.books.disturbed.get(job_id, ())))


async def semaphore_histories(client: Client, folder: RunFolder) -> int:
    """Keep the history of every run of the semaphore beside those of the jobs; how many."""
    name, count = semaphore_id(JOB_GATE), 0
    async for run in client.list_workflows(f"WorkflowId = '{name}'"):
        handle = client.get_workflow_handle(name, run_id=run.run_id)
        history = await handle.fetch_history()
        target = folder.histories / f"{name}.{run.run_id}.json"
        await asyncio.to_thread(target.write_text, history.to_json(), encoding="utf-8")
        count += 1
    return count


async def replay(folder: RunFolder) -> None:
    """Replay every kept history with the current code, and note each failure."""
    files = sorted(folder.histories.glob("*.json"))
    found = await replay_all(_read(files), PayloadKeys(), GenVideoWorkflow, SemaphoreWorkflow)
    folder.write(raw.REPLAY, found | {"kept": len(files)})


async def _read(files: Sequence[Path]) -> AsyncIterator[WorkflowHistory]:
    for file in files:
        text = await asyncio.to_thread(file.read_text, encoding="utf-8")
        yield WorkflowHistory.from_json(file.name.split(".")[0], text)


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
                yield (
                    watch["holder"]["request"]["run_id"],
                    event.event_time.ToDatetime(UTC).timestamp(),
                )
