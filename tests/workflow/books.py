"""What independent books say of the slot: the mocks' clocks, and the semaphore's own history."""

import json
from collections import Counter
from collections.abc import AsyncIterator

from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client

from loadtest.judge.intervals import Interval, Sweep, sweep
from shared.semaphore.messages import JOB_GATE, semaphore_id
from shared.semaphore.state import WATCH_RUN
from tests.services.mock_core.serving import Json
from tests.workflow.pipeline import Pipeline


async def rows(line: Pipeline) -> list[Json]:
    """Every generation that either mock accepted, in the order of acceptance."""
    found = [row for each in (line.images, line.videos) for row in await each.json("/admin/ledger")]
    return sorted(found, key=lambda row: float(row["accepted_ts"]))


async def at_once(line: Pipeline, limit: int = 1) -> Sweep:
    """The jobs by the mocks' clocks, each from its first acceptance to its last end."""
    spans: dict[str, Interval] = {}
    for row in await rows(line):
        job_id = str(row["external_id"]).split(".")[0]
        begin, end = row["accepted_ts"], row["finished_ts"] or float("inf")
        before = spans.get(job_id, Interval(job_id, begin, end))
        spans[job_id] = Interval(job_id, min(begin, before.begin), max(end, before.end))
    return sweep(spans.values(), limit)


async def grants(client: Client) -> Counter[str]:
    """By how they stand (`granted`, `returned`): runs that were told a permit and watched."""
    told: set[str] = set()
    closed: set[str] = set()
    async for events in _semaphores_runs(client):
        watched: dict[int, str] = {}
        for event in events:
            task = event.activity_task_scheduled_event_attributes
            if task.activity_type.name == WATCH_RUN:
                permit = json.loads(task.input.payloads[0].data)["permit"]
                watched[event.event_id] = permit["run_id"]
                told.add(permit["run_id"])
            done = event.activity_task_completed_event_attributes
            closed |= {watched.get(done.scheduled_event_id, "")}
    return Counter(granted=len(told), returned=len(told & closed))


async def _semaphores_runs(client: Client) -> AsyncIterator[list[HistoryEvent]]:
    """The events of its present run, and of each that was continued, back to the first."""
    run_id: str | None = None
    while run_id != "":
        handle = client.get_workflow_handle(semaphore_id(JOB_GATE), run_id=run_id)
        events = [event async for event in handle.fetch_history_events()]
        yield events
        run_id = events[0].workflow_execution_started_event_attributes.continued_execution_run_id
