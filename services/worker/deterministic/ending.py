"""The ends of a job that are not its success; each clears the vendors before it is recorded."""

from temporalio import workflow
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from services.worker.deterministic import stages
    from services.worker.deterministic.cancellation import (
        UNCLASSED,
        Cancellation,
        Interrupted,
        Reason,
        StageFailed,
        Tasks,
        to_its_end,
    )
    from services.worker.deterministic.journal import Journal
    from services.worker.deterministic.state import job_error
    from services.worker.deterministic.turn import SlotTurn
    from services.worker.models import JobLimits
    from shared.errors import NeverTold
    from shared.jobs.messages import Attempts, JobError
    from shared.jobs.states import Status
    from shared.slot.messages import Drain, SlotRequest


# A submit may have arrived of which no answer tells.
MAY_BE_THERE = (UNCLASSED, NeverTold.code)
# A patch: what a run before a reset has paid for is kept by whoever ends before it has the slot.
ANOTHERS_LEFTOVERS = "clears_what_another_run_left"


class Ending:
    """What is done when a job fails, is cancelled, or has had its time.

    `limits`: None where the job ends before it has learned them, and so without a permit.
    """

    def __init__(
        self, request: SlotRequest, journal: Journal, cancellation: Cancellation, turn: SlotTurn
    ) -> None:
        self._request = request
        self._journal = journal
        self._cancellation = cancellation
        self._turn = turn
        # The vendors' ids of what a clean-up has found, by ours.
        self._found: dict[str, str] = {}

    async def badly(
        self, limits: JobLimits | None, status: Status, note: str, failure: StageFailed
    ) -> None:
        """A stage has failed for good: whatever still runs at a vendor is waited for first."""
        note = f"{note} ({failure.code})"
        if self._may_have_left(limits):
            in_doubt = failure.code in MAY_BE_THERE
            await self._drain(limits, note, in_doubt=in_doubt, tasks=failure.tasks)
        error = job_error(failure.code, failure.message)
        await self._end(note, status=status, error=error)

    async def early(self, limits: JobLimits | None, interrupted: Interrupted) -> None:
        """The job is to end, cancelled or out of time.

        A submit may be on its way to a vendor, though nobody awaits it any more.
        """
        in_doubt = interrupted.in_doubt or bool(interrupted.tasks)
        reason = self._cancellation.reason
        if self._turn.permit is None:
            await self._turn.withdraw()
        # Withdrawing takes its time, and the permit may have come meanwhile.
        if in_doubt or self._may_have_left(limits):
            await self._drain(limits, str(reason), in_doubt=in_doubt, tasks=interrupted.tasks)
        if reason is Reason.CANCELLED:
            error = job_error("cancelled", "The job was cancelled.")
            await self._end("cancelled", status=Status.CANCELLED, error=error)
        else:
            seconds = limits.job_seconds if limits else 0.0
            error = job_error("job_timed_out", f"The job did not end within {seconds:g} s.")
            await self._end("failed (job_timed_out)", status=Status.FAILED, error=error)

    def _may_have_left(self, limits: JobLimits | None) -> bool:
        """Whether anything of the job may be at a vendor: of this run, or of one before a reset."""
        if self._turn.permit is not None:
            return True
        begun = limits is not None and self._journal.record.attempts != Attempts()
        return begun and stages.is_repeated() and workflow.patched(ANOTHERS_LEFTOVERS)

    async def _end(self, note: str, *, status: Status, error: JobError) -> None:
        tasks = {**self._journal.record.tasks, **self._found}
        await self._journal.change(note, status=status, error=error, tasks=tasks)

    async def _drain(
        self, limits: JobLimits | None, why: str, *, in_doubt: bool, tasks: Tasks
    ) -> None:
        """Keep the slot until no generation of ours runs any more, or the bound has passed."""
        if limits is None:
            raise RuntimeError("nothing begins before the limits are known")
        note = f"{why}: waiting until the vendors are clear"
        await self._journal.change(note, tasks={**self._journal.record.tasks, **tasks})
        drain = Drain(
            job_id=self._request.job_id,
            run_id=self._request.run_id,
            hold_seconds=0,
            in_doubt=in_doubt,
        )
        try:
            kept = await to_its_end(stages.start_drain(drain, limits))
        except ActivityError:
            workflow.logger.exception("the vendors could not be cleared")
            return
        self._found = kept.tasks
        record = self._journal.record
        attempts = record.attempts.raised_to(kept.attempts)
        if kept.assets or attempts != record.attempts:
            await self._journal.change(
                f"what was paid for: {', '.join(kept.assets) or 'nothing to keep'}",
                assets={**record.assets, **kept.assets},
                asset_url=kept.asset_url or record.asset_url,
                attempts=attempts,
                units={**record.units, **kept.units},
            )
