"""Starting the semaphore where there is none; a second start changes nothing."""

from collections.abc import Sequence
from datetime import timedelta

from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy

from .messages import (
    JOB_GATE,
    REQUEST_SIGNAL,
    SEMAPHORE_QUEUE,
    SEMAPHORE_WORKFLOW,
    SlotRequest,
    semaphore_id,
)

# A worker that dies in the middle of a workflow task loses it for this long (10 s by default).
WORKFLOW_TASK_TIMEOUT = timedelta(seconds=2)
# Queries need a live worker; without one the caller falls back after this.
QUERY_TIMEOUT = timedelta(seconds=3)


async def start_semaphore(
    client: Client,
    gate: str = JOB_GATE,
    *,
    requests: Sequence[SlotRequest] = (),
    task_queue: str = SEMAPHORE_QUEUE,
) -> None:
    """Return when the gate's semaphore is there, and has these requests in one signal."""
    await client.start_workflow(
        SEMAPHORE_WORKFLOW,
        id=semaphore_id(gate),
        task_queue=task_queue,
        task_timeout=WORKFLOW_TASK_TIMEOUT,
        static_summary=f"tells the jobs at the {gate} gate whose turn it is",
        start_signal=REQUEST_SIGNAL if requests else None,
        start_signal_args=[list(requests)] if requests else [],
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
    )
