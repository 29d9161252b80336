"""A job from queue to end: the base of each pipeline's workflow."""

import asyncio
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import TypeAdapter
from temporalio import workflow
from temporalio.exceptions import ApplicationError

from shared.errors import QueueFull, RecordStands, RefusedForGood
from shared.failures import MAX_ATTEMPTS
from shared.jobs.closing import MESSAGES
from shared.jobs.ids import is_job_id
from shared.jobs.messages import Progress, ProgressReport, Record, StageDone
from shared.jobs.states import Status
from shared.pipeline import starting
from shared.pipeline.cancellation import (
    Cancellation,
    Interrupted,
    Limits,
    StageFailed,
    drop,
)
from shared.pipeline.definition import Definition, JobInput, Stage
from shared.pipeline.ending import Ending
from shared.pipeline.journal import AnothersRecord, EndedBefore, Journal
from shared.pipeline.messages import Order, Source, Stored, Watch
from shared.pipeline.policies import ATTEMPT_BACKOFF, ATTEMPT_CODES
from shared.semaphore.holding import Semaphore
from shared.temporal.client import GET_PROGRESS_QUERY, GET_RECORD_QUERY, PROGRESS_SIGNAL

Input = TypeVar("Input", bound=JobInput)
T = TypeVar("T")
STARTED_AGAIN = "started_again"
NOT_A_JOB_ID = "not_a_job_id"


class Degraded(Exception):
    """The job ends with what it has made, because the rest can't be made."""

    def __init__(self, note: str, failure: StageFailed) -> None:
        super().__init__(note)
        self.note = note
        self.failure = failure


class Pipeline(Generic[Input]):
    """Queue, stages, end. The run holds the slot from its grant until it closes.

    A pipeline's workflow sets `definition` and makes its stages in `stages`. Only this code changes
    a job's state. Temporal requires `__init__` and `run` on the workflow's own class: the first
    calls this one, the second returns `until_ended()`.
    """

    definition: ClassVar[Definition]

    def __init__(self, job: Input) -> None:
        self._job = job
        self._journal = Journal(self.definition, job)
        self._cancellation = Cancellation()
        workflow.register_random_seed_callback(self._cancellation.reset)
        self._slot = self._semaphore(self.definition.slot)
        self._request = self._slot.request
        self._gates = {name: self._semaphore(name) for name in self.definition.names}
        # The latest stage's result, and its name.
        self._made: tuple[Stage, Stored] | None = None
        self._called_back: set[str] = set()
        workflow.set_signal_handler(self.definition.done, self._take_callback)
        self._limits = Limits(self._cancellation)
        self._ending = Ending(
            self._request,
            self._journal,
            self._cancellation,
            slot=self._slot,
            limits=self._limits,
        )
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
                await self._begin_attempt(stage, number)
                stored = await self._attempt(stage, self._order(stage, number, inputs))
            except StageFailed as failure:
                await self._after_failure(failure, stage, number)
                number += 1
            else:
                self._made = stage, stored
                return stored

    @property
    def is_reset(self) -> bool:
        """True if this run was reset; it begins nothing of its own."""
        return self._cancellation.is_reset

    async def _until_recorded(self) -> None:
        try:
            await self._work()
        except EndedBefore:
            workflow.logger.info("the end was recorded before, and stays")
            await self._ending.silently(self._request.run)
        except AnothersRecord as anothers:
            self._started_again = True
            await self._ending.silently(anothers.run)

    async def _work(self) -> None:
        try:
            self._slot.mark()
            self._limits.known = await self._journal.enter(self._request)
            self._journal.check()
            self._cancellation.check()
            await self._until_held(self._slot)
            self._limits.start_timer()
            await self.stages(self._job)
            note, fields = self._with_made("")
            await self._journal.change(note, **fields, status=Status.SUCCEEDED, percent=100)
        except Interrupted as interrupted:
            await self._ending.early(interrupted)
        except Degraded as degraded:
            await self._ending.badly(Status.DEGRADED, degraded.note, degraded.failure)
        except StageFailed as failure:
            await self._ending.badly(Status.FAILED, "failed", failure)
        except starting.LocalFailed as local:
            await self._ending.badly(
                Status.FAILED, "failed", StageFailed(local.code, local.message)
            )

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
        """Return with the permit; raise StageFailed if the queue is full."""
        try:
            await self._cancellation.until(lambda: semaphore.is_decided)
        except Interrupted:
            if asking is not None:
                asking.cancel()
                await semaphore.withdraw()
            raise
        if semaphore.permit is None:
            message = f"{semaphore.full} jobs wait already."
            raise StageFailed(QueueFull.code, message, in_doubt=False)

    async def _pass_gate(self, stage: Stage) -> None:
        gate = self._gates[stage.name]
        if gate.name in self._limits.all.gates:
            note, fields = self._with_made(f"waiting for the {gate.name} gate")
            await self._journal.change(note, **fields)
            starting.check_not_reset()
            await self._until_held(gate, asking=asyncio.create_task(gate.ask()))

    async def _begin_attempt(self, stage: Stage, number: int) -> None:
        permit = self._slot.permit
        note, fields = self._with_made(f"{stage.name}, attempt {number} of {MAX_ATTEMPTS}")
        await self._journal.begin(
            note,
            **fields,
            status=Status.RUNNING,
            step=stage.name,
            percent=0,
            token=permit.token if permit else None,
            attempts=self._journal.state.attempts_with(stage.name, number),
        )
        self._cancellation.check()

    def _order(self, stage: Stage, number: int, inputs: dict[str, Any]) -> Order:
        if (permit := self._slot.permit) is None:
            raise RuntimeError("a stage begins with the slot's permit")
        source = None
        if self._made is not None:
            before, made = self._made
            source = Source(stage=before.name, vendor_id=made.vendor_id, url=made.source_url)
        limits = self._limits.all
        return Order(
            request=self._request,
            stage=stage.name,
            attempt=number,
            token=permit.token,
            inputs=inputs,
            limits=limits.stages[stage.name],
            source=source,
            pace=limits.pace,
            record=self._journal.record,
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
        polling = starting.start_collect(watch)
        await cancellation.until_any(lambda: polling.handle.done() or ours in self._called_back)
        if polling.handle.done() or ours not in self._called_back:
            await cancellation.finish(polling, ours=ours)
        cancellation.check()
        stored = None
        try:
            # The ended generation, if it can be fetched at once.
            stored = await starting.fetch(watch)
        except starting.LocalFailed as failure:
            workflow.logger.warning("the result could not be fetched at once: %s", failure)
        cancellation.check()
        if stored is None:
            if not polling.handle.done():
                await drop(polling)
            hinted = starting.start_collect(watch.model_copy(update={"hinted": True}))
            stored = await cancellation.finish(hinted, ours=ours)
        elif watch.order.stage != self.definition.names[-1] and not polling.handle.done():
            await drop(polling)
        if stored is None:
            raise RuntimeError("the hinted form stores the result, or fails")
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
