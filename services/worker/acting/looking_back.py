"""What a run has begun, as the server has it: asked before a stage is stopped, and after the end.

The server ends an activity that waits for its next try by itself, and tells nothing of the tries
before.
"""

import structlog
from temporalio import activity
from temporalio.api.enums.v1 import EventType, PendingActivityState
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from services.worker.acting.heartbeat import Pulse
from services.worker.models import GEN_IMAGE, LEFT_BEHIND, REQUEST_VIDEO, Left, Order
from shared.jobs.messages import Attempts

log = structlog.get_logger(__name__)

SUBMITS = (GEN_IMAGE, REQUEST_VIDEO)
WAITS = PendingActivityState.PENDING_ACTIVITY_STATE_SCHEDULED
BEGUN = EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED


class LookingBack:
    """At the job's own activities, as the server has them."""

    def __init__(self, client: Client) -> None:
        self._client = client

    @activity.defn(name=LEFT_BEHIND)
    async def left_behind(self) -> Left:
        """By the last heartbeat before the next try; one that is under way tells it by itself."""
        info = activity.info()
        handle = self._client.get_workflow_handle(
            str(info.workflow_id), run_id=info.workflow_run_id
        )
        described = (await handle.describe()).raw_description
        for pending in described.pending_activities:
            if pending.activity_type.name in SUBMITS and pending.state == WAITS:
                return await self._of(pending)
        return Left(in_doubt=False)

    async def _of(self, pending: PendingActivityInfo) -> Left:
        beats = pending.heartbeat_details.payloads
        pulse = Pulse(self._client, pending.activity_type.name)
        told = await self._client.data_converter.decode(beats) if beats else ()
        pulse.follow(told, pending.attempt)
        return pulse.left()


async def submitted(client: Client, job_id: str, run_id: str) -> Attempts:
    """By stage, the highest attempt whose submit a run has begun.

    Read as far as that goes; only a server that is away is asked again, by the next try.
    """
    found = Attempts()
    handle = client.get_workflow_handle(job_id, run_id=run_id)
    try:
        async for event in handle.fetch_history_events():
            begun = event.activity_task_scheduled_event_attributes
            if event.event_type == BEGUN and begun.activity_type.name in SUBMITS:
                [order] = await client.data_converter.decode(begun.input.payloads, [Order])
                highest = Attempts.model_validate({order.step.value: order.attempt})
                found = found.raised_to(highest)
    except Exception as error:  # what a converter or a codec raises is open
        if isinstance(error, RPCError) and error.status is RPCStatusCode.UNAVAILABLE:
            raise
        log.warning("unreadable history", job_id=job_id, run_id=run_id, reason=type(error).__name__)
    return found
