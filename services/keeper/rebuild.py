"""Which jobs hold and which wait, from Temporal alone; no single listing is trusted."""

import asyncio
from collections.abc import AsyncIterator

from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client, WorkflowExecution
from temporalio.service import RPCError, RPCStatusCode

from services.keeper.payloads import read_one
from shared.messages import JobInput
from shared.slots import (
    GRANTED_SIGNAL,
    Holder,
    Permit,
    SlotRequest,
)
from shared.temporal import GENVIDEO_WORKFLOW

# The listing is eventually consistent: what started just now may be missing from the first.
LISTING_PAUSE_SECONDS = 1.0
AT_ONCE = 20


async def find_jobs(client: Client) -> tuple[tuple[Holder, ...], tuple[SlotRequest, ...]]:
    """All running jobs, those that hold a permit of their own run apart from those that wait."""
    running = {job.run_id: job async for job in _running(client)}
    await asyncio.sleep(LISTING_PAUSE_SECONDS)
    running |= {job.run_id: job async for job in _running(client)}
    gate = asyncio.Semaphore(AT_ONCE)

    async def look(job: WorkflowExecution) -> Holder | SlotRequest | None:
        async with gate:
            return await _look(client, job)

    found = await asyncio.gather(*map(look, running.values()))
    holders = tuple(item for item in found if isinstance(item, Holder))
    return holders, tuple(item for item in found if isinstance(item, SlotRequest))


def _running(client: Client) -> AsyncIterator[WorkflowExecution]:
    query = f"WorkflowType = '{GENVIDEO_WORKFLOW}' AND ExecutionStatus = 'Running'"
    return client.list_workflows(query)


async def _look(client: Client, job: WorkflowExecution) -> Holder | SlotRequest | None:
    """One job by its history: it holds when a permit for this very run was signalled to it."""
    handle = client.get_workflow_handle(job.id, run_id=job.run_id)
    request: SlotRequest | None = None
    holder: Holder | None = None
    try:
        async for event in handle.fetch_history_events():
            if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED:
                request = await _request(client, job, event)
            elif event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED:
                holder = await _permitted(client, job, event) or holder
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return None
        raise
    return holder or request


async def _request(
    client: Client, job: WorkflowExecution, event: HistoryEvent
) -> SlotRequest | None:
    payloads = event.workflow_execution_started_event_attributes.input
    job_input = await read_one(client.data_converter, payloads, JobInput)
    if job_input is None:
        return None
    return SlotRequest(
        job_id=job.id,
        run_id=job.run_id,
        priority=job_input.priority,
        requested_at=job.start_time,
    )


async def _permitted(client: Client, job: WorkflowExecution, event: HistoryEvent) -> Holder | None:
    signal = event.workflow_execution_signaled_event_attributes
    if signal.signal_name != GRANTED_SIGNAL:
        return None
    permit = await read_one(client.data_converter, signal.input, Permit)
    if permit is None or permit.run_id != job.run_id:
        return None
    since = event.event_time.ToDatetime(tzinfo=job.start_time.tzinfo)
    return Holder(job_id=job.id, run_id=job.run_id, token=permit.token, since=since)
