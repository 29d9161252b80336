"""The bad ends of a job; each clears the vendors before it is recorded."""

from datetime import timedelta

from temporalio import workflow

from shared.jobs.messages import JobError, raised
from shared.jobs.states import Status
from shared.pipeline import starting
from shared.pipeline.cancellation import (
    Cancellation,
    Interrupted,
    Limits,
    Reason,
    StageFailed,
    Tasks,
    to_its_end,
)
from shared.pipeline.journal import Journal
from shared.pipeline.messages import Kept
from shared.pipeline.state import job_error
from shared.semaphore.holding import Semaphore
from shared.semaphore.messages import Closed, Drain, RunRef, SlotRequest

# A drain that was ended by hand is started again after this.
DRAIN_AGAIN, MOST_DRAIN_AGAIN = timedelta(seconds=1), timedelta(minutes=5)


class Ending:
    """What follows when a job fails, is cancelled, or runs out of time."""

    def __init__(
        self,
        request: SlotRequest,
        journal: Journal,
        cancellation: Cancellation,
        *,
        slot: Semaphore,
        limits: Limits,
    ) -> None:
        self._request = request
        self._journal = journal
        self._cancellation = cancellation
        self._slot = slot
        self._limits = limits
        # The vendors' ids that a clean-up has found, by ours.
        self._found: dict[str, str] = {}

    async def badly(self, status: Status, note: str, failure: StageFailed) -> None:
        """End a job after a stage has failed for good: first wait for whatever runs at a vendor."""
        note = f"{note} ({failure.code})"
        if self._slot.permit is not None:
            await self._clear(note, in_doubt=failure.in_doubt, tasks=failure.tasks)
        error = job_error(failure.code, failure.message)
        await self._end(note, status=status, error=error)

    async def early(self, interrupted: Interrupted) -> None:
        """End a job that is cancelled or out of time.

        A submit may be on its way to a vendor, although nothing awaits it any more.
        """
        reason = self._cancellation.reason
        if self._slot.permit is None:
            await self._slot.withdraw()
        # The permit may have come meanwhile.
        if self._slot.permit is not None:
            in_doubt = interrupted.in_doubt or bool(interrupted.tasks)
            await self._clear(str(reason), in_doubt=in_doubt, tasks=interrupted.tasks)
        if reason is Reason.CANCELLED:
            error = job_error("cancelled", "The job was cancelled.")
            await self._end("cancelled", status=Status.CANCELLED, error=error)
        else:
            seconds = self._limits.all.job_seconds
            error = job_error("job_timed_out", f"The job did not end within {seconds:g} s.")
            await self._end("failed (job_timed_out)", status=Status.FAILED, error=error)

    async def silently(self, run: RunRef) -> None:
        """End without a record, because it has ended or belongs to another run; still clear the
        vendors."""
        is_own = run.run_id == self._request.run_id
        drain = Drain(
            job_id=run.job_id,
            run_id=run.run_id,
            hold_seconds=0,
            in_doubt=not is_own or self._slot.permit is not None,
            closed=None if is_own else Closed.UNKNOWN,
        )
        await self._drained(drain)

    async def _end(self, note: str, *, status: Status, error: JobError) -> None:
        tasks = {**self._journal.record.tasks, **self._found}
        await self._journal.change(note, status=status, error=error, tasks=tasks)

    async def _clear(self, why: str, *, in_doubt: bool, tasks: Tasks) -> None:
        """Wait until the vendors are clear, and record what was paid for."""
        note = f"{why}: waiting until the vendors are clear"
        await self._journal.change(note, tasks={**self._journal.record.tasks, **tasks})
        drain = Drain(
            job_id=self._request.job_id,
            run_id=self._request.run_id,
            hold_seconds=0,
            in_doubt=in_doubt,
        )
        kept = await self._drained(drain)
        self._found = kept.tasks
        record = self._journal.record
        attempts = raised(record.attempts, kept.attempts)
        if kept.assets or attempts != record.attempts:
            await self._journal.change(
                f"what was paid for: {', '.join(kept.assets) or 'nothing to keep'}",
                assets={**record.assets, **kept.assets},
                asset_url=kept.asset_url or record.asset_url,
                attempts=attempts,
                units={**record.units, **kept.units},
            )

    async def _drained(self, drain: Drain) -> Kept:
        """Return the result of a drain; start it again if an operator ends it."""
        pause = DRAIN_AGAIN
        while True:
            try:
                return await to_its_end(starting.start_drain(drain, self._limits.all))
            except StageFailed as failure:
                workflow.logger.error("clearing the vendors again: %s", failure)
            await workflow.sleep(pause, summary="until the vendors are cleared again")
            pause = min(2 * pause, MOST_DRAIN_AGAIN)
