"""A local activity: what a stage has left at its vendor, asked before it is stopped.

The server ends an activity that waits for its next try by itself, and tells nothing of the tries
before.
"""

from temporalio import activity
from temporalio.api.enums.v1 import PendingActivityState
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.client import Client

from services.worker.acting.heartbeat import Pulse
from services.worker.models import GEN_IMAGE, LEFT_BEHIND, REQUEST_VIDEO, Left

SUBMITS = (GEN_IMAGE, REQUEST_VIDEO)
WAITS = PendingActivityState.PENDING_ACTIVITY_STATE_SCHEDULED


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
