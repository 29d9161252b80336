"""Start, request, show and change semaphores with a Temporal client."""

from collections.abc import Sequence
from datetime import timedelta

from temporalio.api.enums.v1 import PendingActivityState
from temporalio.client import Client, WorkflowExecutionDescription
from temporalio.common import WorkflowIDConflictPolicy

from .messages import (
    CHANGE_UPDATE,
    FREE_UPDATE,
    REQUEST_SIGNAL,
    SEMAPHORE_QUEUE,
    SEMAPHORE_WORKFLOW,
    STATE_QUERY,
    VIEW_QUERY,
    SemaphoreSettings,
    SlotChange,
    SlotRequest,
    SlotView,
    drain_id,
    semaphore_id,
)
from .state import SemaphoreState

# If a worker dies in a workflow task, the task is retried after this (10 s by default).
WORKFLOW_TASK_TIMEOUT = timedelta(seconds=2)
# Queries need a live worker; without one the caller falls back after this.
QUERY_TIMEOUT = timedelta(seconds=3)
NOBODY = "no worker has taken up its clean-up"
WAITS = PendingActivityState.PENDING_ACTIVITY_STATE_SCHEDULED


async def start_semaphore(
    client: Client,
    name: str,
    *,
    requests: Sequence[SlotRequest] = (),
    limit: int | None = None,
    task_queue: str = SEMAPHORE_QUEUE,
) -> None:
    """Start the semaphore if there is none, and send it these requests in one signal.

    `limit` counts only for a semaphore that does not exist yet.
    """
    await client.start_workflow(
        SEMAPHORE_WORKFLOW,
        args=[SemaphoreState(settings=SemaphoreSettings(limit=limit))] if limit else [],
        id=semaphore_id(name),
        task_queue=task_queue,
        task_timeout=WORKFLOW_TASK_TIMEOUT,
        static_summary=f"grants the places of {name}, in order",
        start_signal=REQUEST_SIGNAL if requests else None,
        start_signal_args=[list(requests)] if requests else [],
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
    )


async def state_of(client: Client, name: str, run_id: str | None = None) -> SemaphoreState | None:
    """Return holders and waiters of a semaphore's run; None if that run does not know them.

    The server has closed runs queried as well: a worker replays their history.
    """
    handle = client.get_workflow_handle(semaphore_id(name), run_id=run_id)
    kind: type[SemaphoreState] = SemaphoreState | None  # type: ignore[assignment]
    state: SemaphoreState | None = await handle.query(
        STATE_QUERY, result_type=kind, rpc_timeout=QUERY_TIMEOUT
    )
    return state


async def view_of(client: Client, name: str) -> SlotView:
    """Return the present view of a semaphore, with tries and last failure of each drain.

    Raises RPCError or WorkflowQueryFailedError.
    """
    handle = client.get_workflow_handle(semaphore_id(name))
    view: SlotView = await handle.query(VIEW_QUERY, result_type=SlotView, rpc_timeout=QUERY_TIMEOUT)
    if not any(holder.draining for holder in view.holders):
        return view
    return with_drains(view, await handle.describe(rpc_timeout=QUERY_TIMEOUT))


def with_drains(view: SlotView, described: WorkflowExecutionDescription) -> SlotView:
    """Add what only the server knows of the drains."""
    pending = {each.activity_id: each for each in described.raw_description.pending_activities}
    holders = []
    for holder in view.holders:
        if (drain := pending.get(drain_id(holder.run_id))) is not None:
            never = drain.state == WAITS and drain.attempt <= 1
            failure = drain.last_failure.message or (NOBODY if never else None)
            seen = {"drain_attempts": drain.attempt, "drain_failure": failure}
            holder = holder.model_copy(update=seen)
        holders.append(holder)
    return view.model_copy(update={"holders": tuple(holders)})


async def change(client: Client, name: str, change: SlotChange) -> SlotView:
    """Set limit or pause of an existing semaphore."""
    semaphore = client.get_workflow_handle(semaphore_id(name))
    view: SlotView = await semaphore.execute_update(CHANGE_UPDATE, change, result_type=SlotView)
    return view


async def free(client: Client, name: str, run_id: str) -> SlotView:
    """Give up a drain that cannot end; what the run left may run beside the next holder."""
    semaphore = client.get_workflow_handle(semaphore_id(name))
    view: SlotView = await semaphore.execute_update(FREE_UPDATE, run_id, result_type=SlotView)
    return view
