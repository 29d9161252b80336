"""An order, and what the server says of the try that works at it."""

from datetime import UTC, datetime
from typing import Any

from temporalio import activity
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.client import WorkflowExecutionStatus

from shared.pipeline.messages import Order, StageLimits
from shared.semaphore.messages import SlotRequest

ORDER = Order(
    request=SlotRequest(job_id="job", run_id="run", requested_at=datetime(2026, 1, 1, tzinfo=UTC)),
    stage="video",
    attempt=2,
    token=7,
    inputs={"prompt": "p"},
    limits=StageLimits(
        deadline=1, give_up=1, lost=1, address=1, poll=1, setting="VIDEO_ATTEMPT_SECONDS"
    ),
)


class Server:
    """Stands for the client, and for the run that is asked for: says what it is told, once each,
    and then that the try which asks is the current one."""

    def __init__(self, *said: Any) -> None:
        self.said = list(said)
        self.asked = 0

    def get_workflow_handle(self, workflow_id: str, *, run_id: str) -> "Server":
        info = activity.info()
        assert (workflow_id, run_id) == (info.workflow_id, info.workflow_run_id)
        return self

    async def describe(self) -> Any:
        self.asked += 1
        said = self.said.pop(0) if self.said else Described()
        if callable(said):
            said = said()
        if isinstance(said, Exception):
            raise said
        return said


class Described:
    """An open run with one activity; what differs is given."""

    def __init__(
        self,
        status: WorkflowExecutionStatus = WorkflowExecutionStatus.RUNNING,
        *,
        began: datetime | None = None,
        activity_id: str = "",
    ) -> None:
        info = activity.info()
        self.status = status
        self.raw_description = self
        pending = PendingActivityInfo(activity_id=activity_id or info.activity_id)
        pending.last_started_time.FromDatetime(began or info.started_time)
        self.pending_activities = [pending]
