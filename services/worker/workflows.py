"""GenVideoWorkflow: one job from queue to end; the only author of the job's state."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from services.worker.deterministic import stages
    from services.worker.deterministic.attempts import after_failure
    from services.worker.deterministic.cancellation import (
        Cancellation,
        Interrupted,
        StageFailed,
    )
    from services.worker.deterministic.collecting import collected
    from services.worker.deterministic.ending import Ending
    from services.worker.deterministic.journal import EndedBefore, Journal
    from services.worker.deterministic.limits import Limits
    from services.worker.deterministic.turn import SlotTurn, StageTurn, Turn
    from services.worker.models import Order, Stored, VideoOrder, VideoWatch
    from shared.errors import GateNotYet, NotYet
    from shared.failures import MAX_ATTEMPTS
    from shared.jobs.ids import external_id
    from shared.jobs.messages import JobInput, KlingDone, Progress, ProgressReport, Record
    from shared.jobs.states import OnVideoFailure, Status, Step
    from shared.slot.messages import (
        GRANTED_SIGNAL,
        ON_DECK_SIGNAL,
        REFUSED_SIGNAL,
        Gate,
        Permit,
        SlotRequest,
    )
    from shared.temporal.client import (
        GENVIDEO_WORKFLOW,
        GET_PROGRESS_QUERY,
        GET_RECORD_QUERY,
        KLING_DONE_SIGNAL,
        PROGRESS_SIGNAL,
    )

T = TypeVar("T")
# One attempt at a stage, by its number from 1.
Attempt = Callable[[int], Awaitable[Stored]]
NOT_YET = (NotYet.code, GateNotYet.code)


@workflow.defn(name=GENVIDEO_WORKFLOW)
class GenVideoWorkflow:
    """Queue, image, video, end. It holds the slot from its grant until its run closes."""

    @workflow.init
    def __init__(self, job: JobInput) -> None:
        info = workflow.info()
        self._job = job
        self._journal = Journal(job)
        self._cancellation = Cancellation()
        self._request = SlotRequest(
            job_id=info.workflow_id,
            run_id=info.run_id,
            priority=job.priority,
            requested_at=info.workflow_start_time,
        )
        self._turn = SlotTurn(self._request, self._cancellation)
        self._gates = {
            step: StageTurn(Gate(step.value), self._request, self._cancellation) for step in Step
        }
        self._callbacks: dict[str, KlingDone] = {}
        self._limits = Limits(self._turn, self._cancellation)
        self._ending = Ending(self._request, self._journal, self._cancellation, self._turn)

    @workflow.run
    async def run(self, job: JobInput) -> Progress:
        """The job's last progress; raises when it failed or was cancelled, as Temporal shows it."""
        await self._cancellation.watch(asyncio.create_task(self._until_ended()))
        return self._outcome()

    async def _until_ended(self) -> None:
        try:
            await self._work()
        except EndedBefore:
            workflow.logger.info("the end stands as it was recorded before")
        self._limits.stop_timer()

    async def _work(self) -> None:
        try:
            await self._journal.change("queued", status=Status.QUEUED)
            await self._limits.learn()
            await self._turn.ask()
            await self._both_stages()
        except Interrupted as interrupted:
            await self._ending.early(self._limits.learnt, interrupted)
        except StageFailed as failure:
            await self._ending.badly(self._limits.learnt, Status.FAILED, "failed", failure)

    def _outcome(self) -> Progress:
        record = self._journal.record
        if record.status is Status.CANCELLED:
            raise asyncio.CancelledError
        if record.status is Status.FAILED and record.error is not None:
            raise ApplicationError(record.error.message, type=record.error.code, non_retryable=True)
        return self._journal.state.progress()

    async def _both_stages(self) -> None:
        image = await self._stage(Step.IMAGE, self._image_attempt)
        # The video's gate goes back with the run itself, which closes behind that stage.
        await self._gates[Step.IMAGE].give_back()

        async def attempt(number: int) -> Stored:
            return await self._video_attempt(number, image)

        try:
            video = await self._stage(Step.VIDEO, attempt, image=image)
        except StageFailed as failure:
            if self._job.on_video_failure is not OnVideoFailure.IMAGE:
                raise
            await self._ending.badly(
                self._limits.learnt, Status.DEGRADED, "ended with the image alone", failure
            )
            return
        await self._journal.change(
            "video stored",
            status=Status.SUCCEEDED,
            percent=100,
            **self._journal.stored(Step.VIDEO, video),
        )

    async def _stage(self, step: Step, attempt: Attempt, *, image: Stored | None = None) -> Stored:
        """One stage with its attempts; whenever it is not this run's turn, that is waited for."""
        number = 1
        while True:
            try:
                await self._may_begin(step, image)
                self._cancellation.check_first()
                return await attempt(number)
            except StageFailed as failure:
                if failure.code in NOT_YET:
                    await self._wait_again(step, failure)
                else:
                    await after_failure(
                        self._journal, failure, self._cancellation, step=step, number=number
                    )
                    number += 1

    async def _may_begin(self, step: Step, image: Stored | None) -> None:
        """Return when this run is next, and at the stage's gate, where that is on, as well."""
        limits = self._limits.known()
        await self._turn.come()
        gate = self._gates[step]
        if gate.gate not in limits.gates or gate.permit is not None:
            return
        if self._turn.permit is None:
            # The slot before the gate, for nobody waits for the slot with a gate in hand.
            self._granted(await self._cancellation.finish(stages.start_hold(self._order(step, 0))))
        await self._note(f"waiting for the {gate.gate} gate", image)
        await gate.come()

    async def _wait_again(self, step: Step, failure: StageFailed) -> None:
        """Overtaken, or the permit was another run's, from before a reset."""
        # Nobody waits for the slot with a gate in hand.
        await self._gates[step].give_back()
        if failure.code == GateNotYet.code:
            return
        self._turn.lose()
        self._limits.stop_timer()
        anew = self._turn.asks_anew()
        if anew or self._journal.record.status is not Status.QUEUED:
            await self._journal.change("queued again", status=Status.QUEUED, step=None)
        if anew:
            await self._turn.ask()

    async def _image_attempt(self, number: int) -> Stored:
        handle = stages.start_image(self._order(Step.IMAGE, number))
        stored = await self._tried(Step.IMAGE, number, handle)
        self._granted(stored.permit)
        return stored

    async def _video_attempt(self, number: int, image: Stored) -> Stored:
        order = VideoOrder(
            **self._order(Step.VIDEO, number).model_dump(),
            image_id=image.vendor_id,
            image_url=image.source_url,
        )
        accepted = await self._tried(Step.VIDEO, number, stages.start_submit(order), image=image)
        self._granted(accepted.permit)
        await self._journal.change(
            "video accepted, waiting for its callback",
            tasks={**self._journal.record.tasks, order.external_id: accepted.vendor_id},
        )
        watch = VideoWatch(order=order, accepted=accepted)
        return await collected(watch, self._callbacks, self._cancellation)

    async def _tried(
        self,
        step: Step,
        number: int,
        handle: workflow.ActivityHandle[T],
        *,
        image: Stored | None = None,
    ) -> T:
        """The result of an activity that asks for the permit itself, and so is there when this
        run's turn comes; the attempt is recorded from the permit on."""
        cancellation, ours = self._cancellation, external_id(self._request.job_id, step, number)
        await cancellation.until_any(lambda: handle.done() or self._turn.permit is not None)
        begun = self._turn.permit is not None
        if begun:
            await self._begin_attempt(step, number, image=image)
        try:
            result = await cancellation.finish(handle, ours=ours)
        except StageFailed as failure:
            if not begun and failure.code not in NOT_YET:
                await self._begin_attempt(step, number, image=image)
            raise
        if not begun:
            await self._begin_attempt(step, number, image=image)
        return result

    def _order(self, step: Step, number: int) -> Order:
        limits, video = self._limits.known(), step is Step.VIDEO
        gate = self._gates[step].gate
        return Order(
            request=self._request,
            step=step,
            attempt=number,
            job=self._job,
            deadline_seconds=limits.video_seconds if video else limits.image_seconds,
            give_up_seconds=limits.video_give_up_seconds if video else limits.image_give_up_seconds,
            holds_seconds=limits.holds_seconds,
            gates=(gate,) if gate in limits.gates else (),
            repeated=stages.is_repeated(),
            pace=limits.pace,
        )

    async def _begin_attempt(self, step: Step, number: int, *, image: Stored | None) -> None:
        permit = self._turn.permit
        await self._note(
            f"{step}, attempt {number} of {MAX_ATTEMPTS}",
            image,
            status=Status.RUNNING,
            step=step,
            percent=0,
            token=permit.token if permit else self._journal.record.token,
            attempts=self._journal.state.attempts_with(step, number),
        )

    async def _note(self, note: str, image: Stored | None, **fields: object) -> None:
        """One change with the image that has just been stored: the vendor waits for it."""
        if image is not None and Step.IMAGE not in self._journal.record.assets:
            note = f"image stored; {note}"
            fields |= self._journal.stored(Step.IMAGE, image)
        await self._journal.change(note, **fields)

    def _granted(self, permit: Permit | None) -> None:
        """The slot is ours; from here on the job's own time runs, and not while it waits again."""
        if permit is not None and self._turn.offer(permit):
            self._limits.start_timer()

    @workflow.signal(name=ON_DECK_SIGNAL)
    def on_deck(self, gate: Gate) -> None:
        """A semaphore tells that this run is next; that gives no right."""
        self._at(gate).tell()

    @workflow.signal(name=GRANTED_SIGNAL)
    def slot_granted(self, permit: Permit) -> None:
        """A semaphore tells of the permit that it has given; a repeat changes nothing."""
        if permit.gate is Gate.JOB:
            self._granted(permit)
        else:
            self._at(permit.gate).offer(permit)

    def _at(self, gate: Gate) -> Turn:
        return self._turn if gate is Gate.JOB else self._gates[Step(gate.value)]

    @workflow.signal(name=REFUSED_SIGNAL)
    def queue_full(self, room: int) -> None:
        """The semaphore has no room for this job."""
        self._turn.refuse(room)

    @workflow.signal(name=KLING_DONE_SIGNAL)
    def kling_done(self, done: KlingDone) -> None:
        """A callback says that a task has ended; kept per attempt, the first one counts."""
        self._callbacks.setdefault(done.external_id, done)

    @workflow.signal(name=PROGRESS_SIGNAL)
    async def report_progress(self, report: ProgressReport) -> None:
        """An activity reports a percent, or that it waits for its vendor."""
        await self._journal.report(report)

    @workflow.query(name=GET_PROGRESS_QUERY)
    def get_progress(self) -> Progress:
        """Where the job stands."""
        return self._journal.state.progress()

    @workflow.query(name=GET_RECORD_QUERY)
    def get_record(self) -> Record:
        """The whole record, so that a lost file can be made again from Temporal alone."""
        return self._journal.record
