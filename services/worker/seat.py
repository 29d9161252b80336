"""A job's side of the slot: it asks once, waits for the permit, and gives it back by closing."""

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from services.worker.models import REQUEST_SLOT, WITHDRAW_REQUEST
    from services.worker.policies import LOCAL_RETRY_POLICY, LOCAL_TIMEOUT, REQUEST_RETRY_POLICY
    from shared.slots import Permit, SlotRequest


class Seat:
    """The permit of this run, or the wait for it."""

    def __init__(self, priority: int) -> None:
        info = workflow.info()
        self.permit: Permit | None = None
        self.waiting = False
        self._request = SlotRequest(
            job_id=info.workflow_id,
            run_id=info.run_id,
            priority=priority,
            requested_at=info.workflow_start_time,
        )

    async def acquire(self) -> None:
        """Return when this run has been granted the slot.

        After a reset the history still shows the old run's permit; the activities refuse it,
        and the run comes here again, under its own id.
        """
        self.permit = None
        self.waiting = True
        await workflow.execute_local_activity(
            REQUEST_SLOT,
            self._request,
            start_to_close_timeout=LOCAL_TIMEOUT,
            retry_policy=REQUEST_RETRY_POLICY,
        )
        await workflow.wait_condition(self.granted)
        self.waiting = False

    def granted(self) -> bool:
        return self.permit is not None

    async def withdraw(self) -> None:
        """Leave the queue of a slot that was never granted."""
        await workflow.execute_local_activity(
            WITHDRAW_REQUEST,
            self._request,
            start_to_close_timeout=LOCAL_TIMEOUT,
            retry_policy=LOCAL_RETRY_POLICY,
        )
