"""GenVideoWorkflow: one job from queue to end; the only author of the job's state."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from services.worker import stages
    from services.worker.attempts import after_failure
    from services.worker.gates import StageGate
    from services.worker.journal import EndedBefore, Journal
    from services.worker.models import JOB_LIMITS, JobLimits, Order, Stored, VideoOrder
    from services.worker.policies import LOCAL_TIMEOUT
    from services.worker.seat import Image, Seat
    from services.worker.stages import StageFailed
    from services.worker.state import job_error
    from shared.errors import StaleGate, StalePermit
    from shared.failures import MAX_ATTEMPTS
    from shared.messages import JobInput, KlingDone, Progress, ProgressReport, Record
    from shared.slots import (
        BEGUN_SIGNAL,
        DISARM_SIGNAL,
        GRANTED_SIGNAL,
        REFUSED_SIGNAL,
        Gate,
        Permit,
    )
    from shared.states import OnVideoFailure, Status, Step
    from shared.temporal import (
        GENVIDEO_WORKFLOW,
        GET_PROGRESS_QUERY,
        GET_RECORD_QUERY,
        KLING_DONE_SIGNAL,
        PROGRESS_SIGNAL,
    )


@workflow.defn(name=GENVIDEO_WORKFLOW)
class GenVideoWorkflow:
    """Queue, image, video, end. It holds the slot from its grant until its run closes."""

    @workflow.init
    def __init__(self, job: JobInput) -> None:
        self._job = job
        self._journal = Journal(job)
        self._seat = Seat(job.priority)
        self._gates = {step: StageGate(Gate(step.value), self._seat.request) for step in Step}
        self._begun: Image | None = None
        self._callbacks: dict[str, KlingDone] = {}
        self._limits: JobLimits

    @workflow.run
    async def run(self, job: JobInput) -> Progress:
        """The job's last progress; raises when it failed or was cancelled, as Temporal shows it."""
        try:
            await self._until_ended()
        except EndedBefore:
            workflow.logger.info("the end stands as it was recorded before")
        await workflow.wait_condition(workflow.all_handlers_finished)
        return self._outcome()

    async def _until_ended(self) -> None:
        try:
            await self._work()
        except asyncio.CancelledError:
            await self._cancelled()
        except StageFailed as failure:
            await self._end(Status.FAILED, "failed", failure)

    def _outcome(self) -> Progress:
        record = self._journal.record
        if record.status is Status.CANCELLED:
            raise asyncio.CancelledError
        if record.status is Status.FAILED and record.error is not None:
            raise ApplicationError(record.error.message, type=record.error.code, non_retryable=True)
        return self._journal.state.progress()

    async def _work(self) -> None:
        await self._journal.change("queued", status=Status.QUEUED)
        self._limits = await workflow.execute_local_activity(
            JOB_LIMITS, result_type=JobLimits, start_to_close_timeout=LOCAL_TIMEOUT
        )
        await self._take_slot(1)
        try:
            async with asyncio.timeout(self._limits.job_seconds):
                await self._both_stages()
        except TimeoutError:
            await self._drain("time is up")
            raise StageFailed(
                "job_timed_out", f"The job did not end within {self._limits.job_seconds:g} s."
            ) from None

    async def _take_slot(self, image: int, *, void: Permit | None = None) -> None:
        """Return when the slot is ours; an armed run has begun its image, if that has no gate."""
        if Gate.IMAGE not in self._limits.gates:
            self._begun = await self._seat.take(self._armed_image(image), void=void)
        elif turn := await self._seat.take(stages.start_turn, void=void):
            await stages.finish_turn(turn)

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
            await self._end(Status.DEGRADED, "ended with the image alone", failure)
            return
        await self._journal.change(
            "video stored",
            status=Status.SUCCEEDED,
            percent=100,
            asset_url=video.asset_url,
            assets={**self._journal.record.assets, Step.VIDEO: video.asset},
        )

    async def _stage(
        self, step: Step, attempt: stages.Attempt, *, image: Stored | None = None
    ) -> Stored:
        """One stage with its attempts; a permit of an older run is asked for again."""
        number = 1
        while True:
            permit = None
            try:
                await self._pass_gate(step, image)
                await self._begin_attempt(step, number, image=image)
                permit = self._seat.permit
                return await attempt(number)
            except StageFailed as failure:
                if failure.code in (StalePermit.code, StaleGate.code):
                    # Nobody waits for the slot with a gate in hand.
                    await self._gates[step].give_back()
                    if failure.code == StalePermit.code:
                        await self._queue_again(step, number, void=permit)
                    continue
                await after_failure(self._journal, failure, step=step, number=number)
            number += 1

    async def _pass_gate(self, step: Step, image: Stored | None) -> None:
        """Return when this run may pass the stage's gate; at once where that is off, or passed."""
        gate = self._gates[step]
        if gate.gate in self._limits.gates and gate.permit is None:
            await self._note(f"waiting for the {gate.gate} gate", image)
            await gate.take()

    async def _queue_again(self, step: Step, number: int, *, void: Permit | None) -> None:
        """After a reset: the permit that we replayed was another run's."""
        image = number if step is Step.IMAGE else self._journal.record.attempts.image
        await self._journal.change("queued again after a reset", status=Status.QUEUED, step=None)
        await self._take_slot(image, void=void)
        if self._begun is not None and step is Step.VIDEO:
            # An armed start begins with the image; that one is there, and is adopted.
            await self._image_attempt(image)

    async def _begin_attempt(self, step: Step, number: int, *, image: Stored | None) -> None:
        await self._note(
            f"{step}, attempt {number} of {MAX_ATTEMPTS}",
            image,
            status=Status.RUNNING,
            step=step,
            percent=0,
            token=self._permit.token,
            attempts=self._journal.state.attempts_with(step, number),
        )

    async def _note(self, note: str, image: Stored | None, **fields: object) -> None:
        """One change with the image that has just been stored: the vendor waits for it."""
        if image is not None and Step.IMAGE not in self._journal.record.assets:
            note = f"image stored; {note}"
            fields |= {"asset_url": image.asset_url, "assets": {Step.IMAGE: image.asset}}
        await self._journal.change(note, **fields)

    async def _image_attempt(self, number: int) -> Stored:
        image, self._begun = self._begun or stages.start_image(self._image_order(number)), None
        return await stages.finish(image)

    def _armed_image(self, number: int) -> Callable[[Permit], Image]:
        """An image that is begun at the very moment when the run before this one has closed."""
        return lambda permit: stages.start_image(self._image_order(number, permit))

    def _image_order(self, number: int, permit: Permit | None = None) -> Order:
        return Order(
            permit=permit or self._permit,
            gate=self._gates[Step.IMAGE].permit,
            step=Step.IMAGE,
            attempt=number,
            job=self._job,
            deadline_seconds=self._limits.image_seconds,
        )

    async def _video_attempt(self, number: int, image: Stored) -> Stored:
        order = VideoOrder(
            permit=self._permit,
            gate=self._gates[Step.VIDEO].permit,
            step=Step.VIDEO,
            attempt=number,
            job=self._job,
            deadline_seconds=self._limits.video_seconds,
            image_id=image.vendor_id,
            image_url=image.source_url,
            repeated=stages.is_repeated(),
        )
        accepted = await stages.submit_video(order)
        await self._journal.change(
            "video accepted, waiting for its callback",
            tasks={**self._journal.record.tasks, order.external_id: accepted.vendor_id},
        )
        return await stages.await_video(order, accepted, self._callbacks)

    @property
    def _permit(self) -> Permit:
        permit = self._seat.permit
        if permit is None or not self._seat.is_ours():
            # After a reset: what we replay says that we hold it, and the keeper says otherwise.
            raise StageFailed(StalePermit.code, "The slot is not this run's.")
        # Ours by now, so nothing that is begun under it waits for another run any more.
        return permit.model_copy(update={"after": None})

    async def _end(self, status: Status, note: str, failure: StageFailed) -> None:
        await self._journal.change(
            f"{note} ({failure.code})",
            status=status,
            error=job_error(failure.code, failure.message),
        )

    async def _cancelled(self) -> None:
        if self._seat.is_ours():
            await self._drain("cancelling")
        else:
            await self._seat.withdraw()
        await self._journal.change(
            "cancelled",
            status=Status.CANCELLED,
            error=job_error("cancelled", "The job was cancelled."),
        )

    async def _drain(self, why: str) -> None:
        """Keep the slot until no generation of ours runs any more, or the bound has passed."""
        await self._journal.change(f"{why}: waiting until the vendors are clear")
        bound = timedelta(seconds=self._limits.drain_seconds)
        kept = await stages.drain(self._seat.request.run, bound)
        if kept is not None and kept.assets:
            # An armed image may have begun just as we were cancelled, before that was noted.
            used = max(self._journal.record.attempts.image, int(Step.IMAGE in kept.assets))
            await self._journal.change(
                f"kept what was paid for: {', '.join(kept.assets)}",
                assets={**self._journal.record.assets, **kept.assets},
                asset_url=kept.asset_url,
                attempts=self._journal.state.attempts_with(Step.IMAGE, used),
            )

    @workflow.signal(name=GRANTED_SIGNAL)
    async def slot_granted(self, permit: Permit) -> None:
        """A keeper grants its gate, now or after another run; a repeat changes nothing."""
        if permit.gate is Gate.JOB:
            self._seat.offer(permit)
        else:
            await self._gates[Step(permit.gate.value)].offer(permit)

    @workflow.signal(name=REFUSED_SIGNAL)
    def queue_full(self, room: int) -> None:
        """The keeper has no room for this job."""
        self._seat.refuse(room)

    @workflow.signal(name=DISARM_SIGNAL)
    def disarm(self, permit: Permit) -> None:
        """The keeper asks an armed run to stand down."""
        self._seat.disarm(permit)

    @workflow.signal(name=BEGUN_SIGNAL)
    def begun(self) -> None:
        """The armed image's activity tells that the run before has closed, and it begins."""
        self._seat.begun = True

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
