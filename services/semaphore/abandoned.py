"""What the process before this one was at: begun anew at once, and not when its silence is noticed.

So a watch need not be heard of often, and yet whoever waits is served soon after a restart.
"""

from collections.abc import Iterable

import structlog
from temporalio.api.enums.v1 import PendingActivityState
from temporalio.client import AsyncActivityHandle, Client
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError

from services.semaphore.models import FIND_JOBS, WATCH_RUN
from shared.slot.messages import Gate, semaphore_id
from shared.temporal.refusals import is_gone

log = structlog.get_logger(__name__)

STARTED = PendingActivityState.PENDING_ACTIVITY_STATE_STARTED
OURS = (FIND_JOBS, WATCH_RUN)


async def begin_anew(client: Client, gates: Iterable[Gate] = tuple(Gate)) -> int:
    """End each try of a semaphore's own activities that another process has begun; how many.

    Before this process polls, so that none is its own. Where the other one is alive after all, it
    hears that its try is void, and the next one does the same.
    """
    begun = 0
    for gate in gates:
        try:
            begun += await _begin_anew(client, gate)
        except RPCError as error:
            log.info("nothing is begun anew", gate=gate, reason=error.message)
    return begun


async def _begin_anew(client: Client, gate: Gate) -> int:
    described = await client.get_workflow_handle(semaphore_id(gate)).describe()
    abandoned = [
        client.get_async_activity_handle(
            workflow_id=described.id, run_id=described.run_id, activity_id=each.activity_id
        )
        for each in described.raw_description.pending_activities
        if each.activity_type.name in OURS and each.state == STARTED
    ]
    return sum([await _ended(each) for each in abandoned])


async def _ended(activity: AsyncActivityHandle) -> bool:
    """Whether the try was still under way; one that has just ended leaves the others to be."""
    try:
        await activity.fail(ApplicationError("A process of the semaphore has started."))
    except RPCError as error:
        if not is_gone(error):
            raise
        return False
    return True
