"""The limits of one job, and the timer of the whole of it, which runs while the slot is held."""

import asyncio
from datetime import timedelta

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from services.worker.deterministic.cancellation import Cancellation, Reason
    from services.worker.models import JobLimits


class Limits:
    """Fixed for the job when it enters the queue."""

    def __init__(self, cancellation: Cancellation) -> None:
        self._cancellation = cancellation
        self._timer: asyncio.Task[None] | None = None
        # None until the job has entered the queue: a cancel may come before.
        self.known: JobLimits | None = None

    @property
    def all(self) -> JobLimits:
        """Those of a job that has entered the queue."""
        if self.known is None:
            raise RuntimeError("nothing begins before the limits are known")
        return self.known

    def start_timer(self) -> None:
        """The slot is held, which is when the job's own time begins; it ends with the run."""
        self._timer = asyncio.create_task(self._run_out(self.all.job_seconds))

    async def _run_out(self, seconds: float) -> None:
        most = timedelta(seconds=seconds)
        await workflow.sleep(most, summary=f"the job may take {most} from the slot on")
        self._cancellation.request(Reason.TIME_IS_UP)
