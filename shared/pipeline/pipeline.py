"""A job from queue to end: the base of each pipeline's workflow."""

import asyncio
from datetime import timedelta
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import TypeAdapter
from temporalio import workflow
from temporalio.exceptions import ApplicationError

from shared.errors import RecordStands, RefusedForGood
from shared.failures import MAX_ATTEMPTS
from shared.jobs.closing import MESSAGES
from shared.jobs.ids import is_job_id
from shared.jobs.messages import JobError, Progress, ProgressReport, Record, StageDone, raised
from shared.jobs.states import Status
from shared.pipeline import starting
from shared.pipeline.cancellation import (
    Cancellation,
    Degraded,
    Interrupted,
    Reason,
    drop,
    to_its_end,
)
from shared.pipeline.definition import Definition, JobInput, Stage
from shared.pipeline.journal import Journal, RecordTaken
from shared.pipeline.messages import JobLimits, Kept, Order, Source, Stored, Watch
from shared.pipeline.policies import ATTEMPT_BACKOFF, ATTEMPT_CODES
from shared.pipeline.starting import StageFailed, Tasks
from shared.pipeline.state import job_error
from shared.semaphore.holding import Semaphore
from shared.semaphore.messages import Closed, Drain, RunRef
from shared.temporal.client import GET_PROGRESS_QUERY, GET_RECORD_QUERY, PROGRESS_SIGNAL

Input = TypeVar("Input", bound=JobInput)
T = TypeVar("T")
STARTED_AGAIN = "started_again"
NOT_A_JOB_ID = "not_a_job_id"
# A drain that was ended by hand is started again after this.
DRAIN_AGAIN, MOST_DRAIN_AGAIN = timedelta(seconds=1), timedelta(minutes=5)


class Pipeline(Generic[Input]):
    """Queue, stages, end. The run holds the slot from its grant until it closes.

    A pipeline's workflow sets `definition` and makes its stages in `stages`. Only this code changes
    a job's state. Temporal requires `__init__` and `run` on the workflow's own class: the first
    calls this one, the second returns `until_ended()`.
    """

    definition: ClassVar[Definition]
    # Fixed when the job enters the queue.
    _limits: JobLimits

    def __init__(self, job: Input) -> None:
        self._job = job
        self._journal = Journal(self.definition, job)
        self._cancellation = Cancellation()
        self._slot = self._semaphore(self.definition.slot)
        self._request = self._slot.request
        self._gates = {name: self._semaphore(name) for name in self.definition.names}
        # The latest stage's result, and its name.
        self._made: tuple[Stage, Stored] | None = None
        self._called_back: set[str] = set()
        workflow.set_signal_handler(self.definition.done, self._take_callback)
        # The vendors' ids that a clean-up has found, by ours.
        self._found: dict[str, str] = {}
        self._started_again = False

    async def stages(self, job: Input) -> None:
        """Make the stages of a job, in order; raise Degraded to end with what is made."""
        raise NotImplementedError

    async def until_ended(self) -> Progress:
        """Return the job's last progress; raise if it failed or was cancelled, as Temporal shows
        it.

        A run that was started by hand under another kind of id fails at once, because it has no
        place in the store.
        """
        if not is_job_id(self._request.job_id):
            message = MESSAGES[NOT_A_JOB_ID]
            raise ApplicationError(message, type=NOT_A_JOB_ID, non_retryable=True)
        await self._cancellation.watch(asyncio.create_task(self._until_recorded()))
        return self._outcome()

    async def make(self, stage: Stage, **inputs: Any) -> Stored:
        """Return the stored result of a stage, made of the inputs and the result of the stage
        before.

        A failed attempt is followed by another generation, MAX_ATTEMPTS in all. Raises StageFailed.
        """
        if self._made is not None:
            # The last stage's gate goes back with the run, which closes after that stage.
            self._gates[self._made[0].name].release()
        await self._pass_gate(stage)
        number = 1
        while True:
            self._cancellation.check()
            try:
                stored = await self._attempt(stage, await self._begin(stage, number, inputs))
            except StageFailed as failure:
                await self._after_failure(failure, stage, number)
                number += 1
            else:
                self._made = stage, stored
                return stored

    async def _until_recorded(self) -> None:
        try:
            await self._work()
        except RecordTaken as taken:
            self._started_again = taken.run != self._request.run
            await self._end_silently(taken.run)

    async def _work(self) -> None:
        try:
            self._slot.mark()
            self._limits = await self._journal.enter(self._request)
            self._journal.check()
            self._cancellation.check()
            await self._until_held(self._slot)
            self._timer = asyncio.create_task(self._run_out())
            await self.stages(self._job)
            note, fields = self._with_made("")
            await self._journal.change(note, **fields, status=Status.SUCCEEDED, percent=100)
        except Interrupted as interrupted:
            await self._end_early(interrupted)
        except Degraded as degraded:
            await self._end_badly(Status.DEGRADED, degraded.note, degraded.failure)
        except StageFailed as failure:
            await self._end_badly(Status.FAILED, "failed", failure)

    def _outcome(self) -> Progress:
        if self._started_again:
            message = MESSAGES[STARTED_AGAIN]
            raise ApplicationError(message, type=STARTED_AGAIN, non_retryable=True)
        record = self._journal.record
        if record.status is Status.CANCELLED:
            raise asyncio.CancelledError
        if record.status is Status.FAILED and record.error is not None:
            raise ApplicationError(record.error.message, type=record.error.code, non_retryable=True)
        return self._journal.state.progress()

    def _semaphore(self, name: str) -> Semaphore:
        start, clean_up = workflow.info().workflow_start_time, self.definition.clean_up
        return Semaphore(name, priority=self._job.priority, clean_up=clean_up, requested_at=start)

    async def _until_held(
        self, semaphore: Semaphore, *, asking: asyncio.Task[None] | None = None
    ) -> None:
        try:
            await self._cancellation.until(lambda: semaphore.permit is not None)
        except Interrupted:
            if asking is not None:
                asking.cancel()
                await semaphore.withdraw()
            raise

    async def _pass_gate(self, stage: Stage) -> None:
        gate = self._gates[stage.name]
        if gate.name in self._limits.gates:
            note, fields = self._with_made(f"waiting for the {gate.name} gate")
            await self._journal.change(note, **fields)
            await self._until_held(gate, asking=asyncio.create_task(gate.ask()))

    async def _begin(self, stage: Stage, number: int, inputs: dict[str, Any]) -> Order:
        if (permit := self._slot.permit) is None:
            raise RuntimeError("a stage begins with the slot's permit")
        note, fields = self._with_made(f"{stage.name}, attempt {number} of {MAX_ATTEMPTS}")
        record = await self._journal.begin(
            note,
            **fields,
            status=Status.RUNNING,
            step=stage.name,
            percent=0,
            token=permit.token,
            attempts=self._journal.state.attempts_with(stage.name, number),
        )
        self._cancellation.check()
        source = None
        if self._made is not None:
            before, made = self._made
            source = Source(stage=before.name, vendor_id=made.vendor_id, url=made.source_url)
        return Order(
            request=self._request,
            stage=stage.name,
            attempt=number,
            token=permit.token,
            inputs=inputs,
            limits=self._limits.stages[stage.name],
            source=source,
            pace=self._limits.pace,
            record=record,
        )

    async def _attempt(self, stage: Stage, order: Order) -> Stored:
        ours = order.external_id
        if not stage.called_back:
            return await self._submitted(starting.STORED, order)
        accepted = await self._submitted(starting.ACCEPTED, order)
        await self._journal.change(
            f"{stage.name} accepted, waiting for its callback",
            tasks={**self._journal.record.tasks, ours: accepted.vendor_id},
        )
        watch = Watch(order=order.model_copy(update={"record": None}), accepted=accepted)
        return await self._collected(watch)

    async def _submitted(self, kind: TypeAdapter[T], order: Order) -> T:
        """Return the result of an activity that writes the order's record, then submits the
        order."""
        while True:
            try:
                started = starting.start_attempt(order, kind)
                return await self._cancellation.finish(started, ours=order.external_id)
            except StageFailed as failure:
                if failure.code != RecordStands.code:
                    raise
                record = await self._journal.write_again()
                in_doubt = order.in_doubt or failure.in_doubt
                order = order.model_copy(update={"record": record, "in_doubt": in_doubt})

    async def _collected(self, watch: Watch) -> Stored:
        """Return the stored result of an accepted generation, once a callback or the poll reports
        its end.

        A poll that lost is not stopped if the result could be fetched: the run closes in this task,
        and the poll with it, which saves an event.
        """
        ours, cancellation = watch.order.external_id, self._cancellation
        polling = starting.start_collect(watch, starting.COLLECTED)
        await cancellation.until_any(lambda: polling.handle.done() or ours in self._called_back)
        if polling.handle.done() or ours not in self._called_back:
            await cancellation.finish(polling, ours=ours)
        cancellation.check()
        stored = None
        try:
            # The ended generation, if it can be fetched at once.
            stored = await starting.fetch(watch)
        except StageFailed as failure:
            workflow.logger.warning("the result could not be fetched at once: %s", failure)
        cancellation.check()
        if stored is None:
            if not polling.handle.done():
                await drop(polling)
            hinted = watch.model_copy(update={"hinted": True})
            collecting = starting.start_collect(hinted, starting.STORED)
            stored = await cancellation.finish(collecting, ours=ours)
        elif watch.order.stage != self.definition.names[-1] and not polling.handle.done():
            await drop(polling)
        return stored

    async def _after_failure(self, failure: StageFailed, stage: Stage, number: int) -> None:
        """Return when another attempt is due; raise the failure if the stage has failed."""
        name, journal = stage.name, self._journal
        if failure.code == RefusedForGood.code:
            await journal.change(
                f"{name} refused: {failure.message} ({failure.code}; not asked again)",
                attempts=journal.state.attempts_with(name, number - 1),
            )
        if failure.code not in ATTEMPT_CODES or number == MAX_ATTEMPTS:
            raise failure
        follows = f"attempt {number + 1} of {MAX_ATTEMPTS} follows"
        await journal.change(
            f"{name}, attempt {number} failed: {failure.message} ({failure.code}; {follows})"
        )
        pause = f"the pause before {name} {number + 1}"
        await self._cancellation.sleep(ATTEMPT_BACKOFF * number, pause)

    def _with_made(self, note: str) -> tuple[str, dict[str, object]]:
        """Return note and fields of a change with the stored result: one change for both, because
        the vendor waits for it."""
        if self._made is None or self._made[0].name in self._journal.record.assets:
            return note, {}
        stage, stored = self._made
        fields = self._journal.stored(stage.name, stored)
        return f"{stage.name} stored; {note}".removesuffix("; "), fields

    async def _run_out(self) -> None:
        """End the job when its own time is up, which runs from the grant on, because it holds the
        slot."""
        most = timedelta(seconds=self._limits.job_seconds)
        await workflow.sleep(most, summary=f"the job may take {most} from the slot on")
        self._cancellation.request(Reason.TIME_IS_UP)

    async def _end_badly(self, status: Status, note: str, failure: StageFailed) -> None:
        """End a job after a stage has failed for good: first wait for whatever runs at a vendor."""
        note = f"{note} ({failure.code})"
        if self._slot.permit is not None:
            await self._clear(note, in_doubt=failure.in_doubt, tasks=failure.tasks)
        error = job_error(failure.code, failure.message)
        await self._end(note, status=status, error=error)

    async def _end_early(self, interrupted: Interrupted) -> None:
        """End a job that is cancelled or out of time.

        A submit may be on its way to a vendor, although nothing awaits it any more.
        """
        reason = self._cancellation.reason
        if self._slot.permit is None:
            await self._slot.withdraw()
        else:
            in_doubt = interrupted.in_doubt or bool(interrupted.tasks)
            await self._clear(str(reason), in_doubt=in_doubt, tasks=interrupted.tasks)
        if reason is Reason.CANCELLED:
            error = job_error("cancelled", "The job was cancelled.")
            await self._end("cancelled", status=Status.CANCELLED, error=error)
        else:
            seconds = self._limits.job_seconds
            error = job_error("job_timed_out", f"The job did not end within {seconds:g} s.")
            await self._end("failed (job_timed_out)", status=Status.FAILED, error=error)

    async def _end_silently(self, run: RunRef) -> None:
        """End without a record, because it has ended or belongs to another run; still clear the
        vendors."""
        is_own = run.run_id == self._request.run_id
        in_doubt = not is_own or self._slot.permit is not None
        await self._drained(run, in_doubt=in_doubt, closed=None if is_own else Closed.UNKNOWN)

    async def _end(self, note: str, *, status: Status, error: JobError) -> None:
        tasks = {**self._journal.record.tasks, **self._found}
        await self._journal.change(note, status=status, error=error, tasks=tasks)

    async def _clear(self, why: str, *, in_doubt: bool, tasks: Tasks) -> None:
        """Wait until the vendors are clear, and record what was paid for."""
        note = f"{why}: waiting until the vendors are clear"
        await self._journal.change(note, tasks={**self._journal.record.tasks, **tasks})
        kept = await self._drained(self._request, in_doubt=in_doubt)
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

    async def _drained(self, run: RunRef, *, in_doubt: bool, closed: Closed | None = None) -> Kept:
        """Return the result of a drain; start it again if an operator ends it."""
        drain = Drain(
            job_id=run.job_id, run_id=run.run_id, hold_seconds=0, in_doubt=in_doubt, closed=closed
        )
        pause = DRAIN_AGAIN
        while True:
            try:
                return await to_its_end(starting.start_drain(drain, self._limits))
            except StageFailed as failure:
                workflow.logger.error("clearing the vendors again: %s", failure)
            await workflow.sleep(pause, summary="until the vendors are cleared again")
            pause = min(2 * pause, MOST_DRAIN_AGAIN)

    def _take_callback(self, done: StageDone) -> None:
        """Take a callback's signal that a task has ended; it is kept per attempt."""
        self._called_back.add(done.external_id)

    @workflow.signal(name=PROGRESS_SIGNAL)
    async def report_progress(self, report: ProgressReport) -> None:
        await self._journal.report(report)

    @workflow.query(name=GET_PROGRESS_QUERY)
    def get_progress(self) -> Progress:
        return self._journal.state.progress()

    @workflow.query(name=GET_RECORD_QUERY)
    def get_record(self) -> Record:
        """Return the whole record, so that a lost file can be written again from Temporal."""
        return self._journal.record
