"""What an operator does with Temporal's own tools, to a job or to the semaphore."""

import asyncio
from collections.abc import Container
from contextlib import suppress
from typing import Any

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.api.workflowservice.v1 import (
    PauseActivityRequest,
    ResetActivityRequest,
    UnpauseActivityRequest,
)
from temporalio.client import AsyncActivityHandle, Client, WorkflowFailureError
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError
from temporalio.service import RPCError

from shared.jobs.genvideo import GENVIDEO, GenVideoInput
from shared.jobs.slots import JOB_GATE
from shared.pipeline.definition import DRAIN_ACTIVITY
from shared.semaphore.messages import REQUEST_SIGNAL, semaphore_id
from shared.semaphore.state import WATCH_RUN
from tests.chaos.schedule import Kind
from tests.fixtures.temporal import delete, reset

# Of a job: at a stage, or while it clears the vendors.
STAGES = ("gen_image", "request_video", "collect_video", DRAIN_ACTIVITY)
SEMAPHORES = (WATCH_RUN, DRAIN_ACTIVITY)
SEMAPHORE = semaphore_id(JOB_GATE)
GARBAGE = {"chaos": True}
# A record tells an end just before the run closes.
CLOSE_SECONDS = 5.0
_BAD = {"job_id": "job-0123456789abcdef01234567", "run_id": "x", "priority": 3}
# Well-typed and impossible, of another shape, and no list at all.
POISON: tuple[object, ...] = (
    [{**_BAD, "requested_at": "9999-12-31T23:59:59Z"}],
    [{**_BAD, "requested_at": "2026-01-01T00:00:00Z", "priority": -(2**60)}],
    [{**_BAD, "requested_at": "2026-01-01T00:00:00Z", "run_id": "x" * 5000}],
    [{**_BAD, "requested_at": "2026-01-01T00:00:00"}, None, "no request", [[]]],
    7,
)


async def act(client: Client, kind: Kind, workflow_id: str, *, seconds: float) -> bool:
    """Do it; False where what it is meant for was not there, or has just ended."""
    kinds = SEMAPHORES if workflow_id == SEMAPHORE else STAGES
    handle = client.get_workflow_handle(workflow_id)
    match kind:
        case Kind.CANCEL:
            await handle.cancel()
        case Kind.TERMINATE:
            await handle.terminate("chaos")
        case Kind.RESET:
            return bool(await reset(client, workflow_id, back_to="first"))
        case Kind.DELETE:
            await delete(client, workflow_id)
        case Kind.START_AGAIN:
            return await start_again(client, workflow_id)
        case Kind.POISON:
            await poison(client)
        case Kind.ACTIVITY_RESET | Kind.ACTIVITY_FORGET:
            return await reset_activity(client, workflow_id, heartbeats=kind is Kind.ACTIVITY_RESET)
        case Kind.ACTIVITY_PAUSE:
            return await pause_activity(client, workflow_id, seconds)
        case Kind.ACTIVITY_FAIL:
            return await fail_activity(client, workflow_id, kinds)
        case Kind.ACTIVITY_COMPLETE:
            return await complete_activity(client, workflow_id, kinds)
        case _:
            raise ValueError(f"{kind} is done to no workflow")
    return True


async def reset_activity(client: Client, workflow_id: str, *, heartbeats: bool) -> bool:
    """Reset a stage's activity, with or without the details of its heartbeats."""
    if (found := await _pending(client, workflow_id, STAGES)) is None:
        return False
    await client.workflow_service.reset_activity(
        ResetActivityRequest(
            namespace=client.namespace,
            execution=WorkflowExecution(workflow_id=workflow_id),
            id=found.activity_id,
            reset_heartbeat=not heartbeats,
        )
    )
    return True


async def pause_activity(client: Client, workflow_id: str, seconds: float) -> bool:
    """Pause a stage's activity for the given seconds."""
    if (found := await _pending(client, workflow_id, STAGES)) is None:
        return False
    service, space = client.workflow_service, client.namespace
    run, name = WorkflowExecution(workflow_id=workflow_id), found.activity_id
    await service.pause_activity(PauseActivityRequest(namespace=space, execution=run, id=name))
    await asyncio.sleep(seconds)
    await service.unpause_activity(UnpauseActivityRequest(namespace=space, execution=run, id=name))
    return True


async def fail_activity(client: Client, workflow_id: str, kinds: Container[str]) -> bool:
    """Fail one of these activities for good."""
    handle = await _handle(client, workflow_id, kinds)
    if handle is not None:
        # As Temporal's command does: without a type, and never tried again.
        await handle.fail(ApplicationError("chaos", non_retryable=True))
    return handle is not None


async def complete_activity(client: Client, workflow_id: str, kinds: Container[str]) -> bool:
    """Complete one of these activities with what is no result."""
    handle = await _handle(client, workflow_id, kinds)
    if handle is not None:
        await handle.complete(GARBAGE)
    return handle is not None


async def _handle(
    client: Client, workflow_id: str, kinds: Container[str]
) -> AsyncActivityHandle | None:
    if (found := await _pending(client, workflow_id, kinds)) is None:
        return None
    return client.get_async_activity_handle(
        workflow_id=workflow_id, run_id=None, activity_id=found.activity_id
    )


async def _pending(
    client: Client, workflow_id: str, kinds: Container[str]
) -> PendingActivityInfo | None:
    """The latest activity of these kinds that has not ended."""
    described = await client.get_workflow_handle(workflow_id).describe()
    pending = described.raw_description.pending_activities
    return next((each for each in reversed(pending) if each.activity_type.name in kinds), None)


async def start_again(client: Client, job_id: str) -> bool:
    """Start a job's id once more, as soon as its run has closed; a deleted one at once."""
    with suppress(WorkflowFailureError, RPCError):
        async with asyncio.timeout(CLOSE_SECONDS):
            await client.get_workflow_handle(job_id).result()
    job = GenVideoInput(prompt="started again by hand", style="")
    try:
        await client.start_workflow(GENVIDEO.workflow, job, id=job_id, task_queue=GENVIDEO.name)
    except WorkflowAlreadyStartedError:
        return False
    return True


async def poison(client: Client) -> None:
    """Ask the semaphore for the slot in ways in which nobody may."""
    semaphore: Any = client.get_workflow_handle(SEMAPHORE)
    for requests in POISON:
        await semaphore.signal(REQUEST_SIGNAL, requests)
