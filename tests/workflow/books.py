"""What independent books say of the slot: the mocks' clocks, and the keeper's own history."""

from collections import Counter
from collections.abc import AsyncIterator

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client

from loadtest.judge.sweep import Interval, Sweep, sweep
from services.keeper.models import GRANT_AND_WATCH
from shared.slots import JOB_GATE, keeper_id
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
    """By how they stand (`granted`, `returned`): the keeper's watches, over all of its runs."""
    found: Counter[str] = Counter()
    watched: set[int] = set()
    async for event in _keepers_events(client):
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
            task = event.activity_task_scheduled_event_attributes
            if task.activity_type.name == GRANT_AND_WATCH:
                watched.add(event.event_id)
                found["granted"] += 1
        elif event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
            done = event.activity_task_completed_event_attributes
            found["returned"] += done.scheduled_event_id in watched
    return found


async def _keepers_events(client: Client) -> AsyncIterator[HistoryEvent]:
    async for event in client.get_workflow_handle(keeper_id(JOB_GATE)).fetch_history_events():
        yield event
