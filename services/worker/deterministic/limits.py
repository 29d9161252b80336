"""The limits of one job, and the timer of the whole of it, which runs while the slot is held."""

import asyncio
from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from services.worker.deterministic.cancellation import Cancellation, Reason, to_its_end
    from services.worker.deterministic.turn import SlotTurn
    from services.worker.models import JOB_LIMITS, JobLimits
    from services.worker.policies import LOCAL_TIMEOUT, REQUEST_RETRY_POLICY


class Limits:
    """Asked for once, and fixed for the job from there on."""

    def __init__(self, turn: SlotTurn, cancellation: Cancellation) -> None:
        self._turn = turn
        self._cancellation = cancellation
        self._timer: asyncio.Task[None] | None = None
        # None until they are learnt: a cancel may come before.
        self.learnt: JobLimits | None = None

    async def learn(self) -> None:
        """Ask for them."""
        self.learnt = await to_its_end(
            workflow.start_local_activity(
                JOB_LIMITS,
                result_type=JobLimits,
                summary="the limits that hold for this job",
                start_to_close_timeout=LOCAL_TIMEOUT,
                retry_policy=REQUEST_RETRY_POLICY,
            )
        )
        self.start_timer()

    def known(self) -> JobLimits:
        """Those of a job that has begun."""
        if self.learnt is None:
            raise RuntimeError("nothing begins before the limits are known")
        return self.learnt

    def start_timer(self) -> None:
        """Where the slot is held and the limits are known; a second time changes nothing."""
        if self._turn.permit is not None and self.learnt is not None and self._timer is None:
            self._timer = asyncio.create_task(self._run_out(self.learnt.job_seconds))

    async def _run_out(self, seconds: float) -> None:
        most = timedelta(seconds=seconds)
        await workflow.sleep(most, summary=f"the job may take {most} from the slot on")
        self._cancellation.request(Reason.TIME_IS_UP)

    def stop_timer(self) -> None:
        """The job has ended, or waits for the slot again."""
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
