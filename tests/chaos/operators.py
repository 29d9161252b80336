"""What an operator does with Temporal's own tools, to a job or to the semaphore."""

import asyncio
from contextlib import suppress
from typing import Any

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import (
    PauseActivityRequest,
    ResetActivityRequest,
    UnpauseActivityRequest,
)
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
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
    handle: WorkflowHandle[Any, Any] = client.get_workflow_handle(workflow_id)
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
            for requests in POISON:
                await handle.signal(REQUEST_SIGNAL, requests)
        case _:
            kinds = SEMAPHORES if workflow_id == SEMAPHORE else STAGES
            described = (await handle.describe()).raw_description
            pending = [p for p in described.pending_activities if p.activity_type.name in kinds]
            if not pending:
                return False
            await _to_activity(client, kind, workflow_id, pending[-1].activity_id, seconds=seconds)
    return True


async def _to_activity(
    client: Client, kind: Kind, workflow_id: str, name: str, *, seconds: float
) -> None:
    run = WorkflowExecution(workflow_id=workflow_id)
    service = client.workflow_service
    whose: dict[str, Any] = {"namespace": client.namespace, "id": name}
    handle = client.get_async_activity_handle(
        workflow_id=workflow_id, run_id=None, activity_id=name
    )
    match kind:
        case Kind.ACTIVITY_RESET | Kind.ACTIVITY_FORGET:
            forgets = kind is Kind.ACTIVITY_FORGET
            await service.reset_activity(
                ResetActivityRequest(execution=run, reset_heartbeat=forgets, **whose)
            )
        case Kind.ACTIVITY_PAUSE:
            await service.pause_activity(PauseActivityRequest(execution=run, **whose))
            await asyncio.sleep(seconds)
            await service.unpause_activity(UnpauseActivityRequest(execution=run, **whose))
        case Kind.ACTIVITY_FAIL:
            # As Temporal's command does: without a type, and never tried again.
            await handle.fail(ApplicationError("chaos", non_retryable=True))
        case Kind.ACTIVITY_COMPLETE:
            await handle.complete(GARBAGE)
        case _:
            raise ValueError(f"{kind} is done to no workflow")


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
