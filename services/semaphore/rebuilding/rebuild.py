"""Who holds and who waits, from Temporal alone: no live worker, no single listing is trusted."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client, WorkflowExecution, WorkflowExecutionStatus
from temporalio.service import RPCError

from services.semaphore.rebuilding.payloads import read_one
from shared.jobs.messages import JobInput, Message
from shared.slot.messages import (
    GRANTED_SIGNAL,
    JOB_GATE,
    RELEASE_SIGNAL,
    REQUEST_SIGNAL,
    WITHDRAW_SIGNAL,
    Gate,
    Permit,
    Release,
    SlotRequest,
    fitting_requests,
    semaphore_id,
)
from shared.temporal.client import GENVIDEO_WORKFLOW
from shared.temporal.refusals import is_gone

# The listing is eventually consistent: what started just now may be missing from the first.
LISTING_PAUSE_SECONDS = 1.0
AT_ONCE = 20
# A job killed so recently, while no semaphore watched, may have left a generation running.
RECENT = timedelta(hours=1)
OPEN = "ExecutionStatus = 'Running'"
SAID = EventType.EVENT_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED
KILLED = "ExecutionStatus IN ('Terminated', 'TimedOut')"


class Seen(Message):
    """A job as its history shows it: what it asks for, and its last permit.

    `asking`: whether it wants to pass this gate; `released`: the last token that it gave back.
    """

    request: SlotRequest
    status: WorkflowExecutionStatus
    asking: bool = True
    permit: Permit | None = None
    released: int = -1

    @property
    def open(self) -> bool:
        return self.status is WorkflowExecutionStatus.RUNNING


async def find_jobs(client: Client, gate: Gate, *, now: datetime) -> list[Seen]:
    """All running jobs, and the lately killed ones, as they stand at this gate.

    `now`: by the server's clock; that of this machine may be wrong.
    """
    jobs = {job.run_id: job async for job in _listed(client, now)}
    await asyncio.sleep(LISTING_PAUSE_SECONDS)
    jobs |= {job.run_id: job async for job in _listed(client, now)}
    at_once = asyncio.Semaphore(AT_ONCE)

    async def look(job: WorkflowExecution) -> Seen | None:
        async with at_once:
            return await look_at(client, job, gate=gate)

    return [item for item in await asyncio.gather(*map(look, jobs.values())) if item]


async def _listed(client: Client, now: datetime) -> AsyncIterator[WorkflowExecution]:
    since = (now - RECENT).strftime("%Y-%m-%dT%H:%M:%SZ")
    for condition in (OPEN, f"{KILLED} AND CloseTime > '{since}'"):
        query = f"WorkflowType = '{GENVIDEO_WORKFLOW}' AND {condition}"
        async for job in client.list_workflows(query):
            yield job


async def look_at(client: Client, job: WorkflowExecution, *, gate: Gate) -> Seen | None:
    """One job by its history; None where it is gone, or was made by hand and can't be read."""
    handle = client.get_workflow_handle(job.id, run_id=job.run_id)
    seen: Seen | None = None
    try:
        async for event in handle.fetch_history_events():
            if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED:
                seen = await _started(client, job, event=event, gate=gate)
            elif event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED and seen:
                seen = await _signalled(client, seen, event=event, gate=gate)
            elif event.event_type == SAID and seen:
                seen = await _said(client, seen, event=event, gate=gate)
    except RPCError as error:
        if not is_gone(error):
            raise
        return None
    return seen


async def _started(
    client: Client, job: WorkflowExecution, *, event: HistoryEvent, gate: Gate
) -> Seen | None:
    payloads = event.workflow_execution_started_event_attributes.input
    job_input = await read_one(client.data_converter, payloads, JobInput)
    if job_input is None:
        return None
    wanted = {
        "job_id": job.id,
        "run_id": job.run_id,
        "priority": job_input.priority,
        "requested_at": job.start_time,
    }
    if not (requests := fitting_requests([wanted])):
        return None
    [request] = requests
    status = job.status or WorkflowExecutionStatus.RUNNING
    # Every job wants the slot from its beginning; a stage's gate it asks for by a signal.
    return Seen(request=request, status=status, asking=gate is JOB_GATE)


async def _signalled(client: Client, seen: Seen, *, event: HistoryEvent, gate: Gate) -> Seen:
    """What one signal tells; a permit for another run (before a reset) doesn't count."""
    signal = event.workflow_execution_signaled_event_attributes
    if signal.signal_name != GRANTED_SIGNAL:
        return seen
    permit = await read_one(client.data_converter, signal.input, Permit)
    if permit is None or (permit.run_id, permit.gate) != (seen.request.run_id, gate):
        return seen
    return seen.model_copy(update={"permit": permit})


async def _said(client: Client, seen: Seen, *, event: HistoryEvent, gate: Gate) -> Seen:
    """What the job told this gate's semaphore, whether that heard it or not."""
    said = event.signal_external_workflow_execution_initiated_event_attributes
    if said.workflow_execution.workflow_id != semaphore_id(gate):
        return seen
    if said.signal_name == REQUEST_SIGNAL:
        return seen.model_copy(update={"asking": True})
    if said.signal_name == WITHDRAW_SIGNAL:
        return seen.model_copy(update={"asking": False})
    if said.signal_name != RELEASE_SIGNAL:
        return seen
    release = await read_one(client.data_converter, said.input, Release)
    if release is None:
        return seen
    return seen.model_copy(update={"asking": False, "released": release.token})
