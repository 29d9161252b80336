"""GenVideoWorkflow: one job from queue to end; the only author of the job's state."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from services.worker import stages
    from services.worker.journal import EndedBefore, Journal
    from services.worker.models import JOB_LIMITS, JobLimits, Kept, Order, Stored, VideoOrder
    from services.worker.policies import (
        ATTEMPT_BACKOFF,
        ATTEMPT_CODES,
        DRAIN_MARGIN,
        HEARTBEAT_TIMEOUT,
        LOCAL_TIMEOUT,
        RETRY_POLICY,
    )
    from services.worker.seat import Image, Seat
    from services.worker.stages import StageFailed
    from services.worker.state import job_error
    from shared.errors import RefusedForGood, StalePermit
    from shared.failures import MAX_ATTEMPTS
    from shared.messages import JobInput, KlingDone, Progress, ProgressReport, Record
    from shared.slots import (
        BEGUN_SIGNAL,
        DISARM_SIGNAL,
        DRAIN_ACTIVITY,
        GRANTED_SIGNAL,
        REFUSED_SIGNAL,
        Drain,
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
        self._begun = await self._seat.take(self._armed_image(1))
        try:
            async with asyncio.timeout(self._limits.job_seconds):
                await self._both_stages()
        except TimeoutError:
            await self._drain("time is up")
            raise StageFailed(
                "job_timed_out", f"The job did not end within {self._limits.job_seconds:g} s."
            ) from None

    async def _both_stages(self) -> None:
        image = await self._stage(Step.IMAGE, self._image_attempt)

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
        number, permit = 1, self._seat.permit
        while True:
            try:
                await self._begin_attempt(step, number, image=image)
                permit = self._seat.permit
                return await attempt(number)
            except StageFailed as failure:
                if failure.code == StalePermit.code:
                    await self._queue_again(step, number, void=permit)
                    continue
                await self._after_failure(step, number, failure)
            number += 1

    async def _queue_again(self, step: Step, number: int, *, void: Permit | None) -> None:
        """After a reset: the permit that we replayed was another run's."""
        image = number if step is Step.IMAGE else self._journal.record.attempts.image
        await self._journal.change("queued again after a reset", status=Status.QUEUED, step=None)
        self._begun = await self._seat.take(self._armed_image(image), void=void)
        if self._begun is not None and step is Step.VIDEO:
            # An armed start begins with the image; that one is there, and is adopted.
            await self._image_attempt(image)

    async def _begin_attempt(self, step: Step, number: int, *, image: Stored | None) -> None:
        """One change with the image that has just been stored: the vendor waits for it."""
        note, stored = f"{step}, attempt {number} of {MAX_ATTEMPTS}", {}
        if image is not None and Step.IMAGE not in self._journal.record.assets:
            note = f"image stored; {note}"
            stored = {"asset_url": image.asset_url, "assets": {Step.IMAGE: image.asset}}
        await self._journal.change(
            note,
            status=Status.RUNNING,
            step=step,
            percent=0,
            token=self._permit.token,
            attempts=self._journal.state.attempts_with(step, number),
            **stored,
        )

    async def _after_failure(self, step: Step, number: int, failure: StageFailed) -> None:
        """Return when another attempt is due; raise when the stage has failed."""
        if failure.code == RefusedForGood.code:
            await self._journal.change(
                f"{step} refused: {failure.message} ({failure.code}; not asked again)",
                attempts=self._journal.state.attempts_with(step, number - 1),
            )
        if failure.code not in ATTEMPT_CODES or number == MAX_ATTEMPTS:
            raise failure
        follows = f"attempt {number + 1} of {MAX_ATTEMPTS} follows"
        await self._journal.change(
            f"{step}, attempt {number} failed: {failure.message} ({failure.code}; {follows})"
        )
        await workflow.sleep(ATTEMPT_BACKOFF * number)

    async def _image_attempt(self, number: int) -> Stored:
        image, self._begun = self._begun or stages.start_image(self._image_order(number)), None
        return await stages.finish(image)

    def _armed_image(self, number: int) -> Callable[[Permit], Image]:
        """An image that is begun at the very moment when the run before this one has closed."""
        return lambda permit: stages.start_image(self._image_order(number, permit))

    def _image_order(self, number: int, permit: Permit | None = None) -> Order:
        return Order(
            permit=permit or self._permit,
            step=Step.IMAGE,
            attempt=number,
            job=self._job,
            deadline_seconds=self._limits.image_seconds,
        )

    async def _video_attempt(self, number: int, image: Stored) -> Stored:
        order = VideoOrder(
            permit=self._permit,
            step=Step.VIDEO,
            attempt=number,
            job=self._job,
            deadline_seconds=self._limits.video_seconds,
            image_id=image.vendor_id,
            image_url=image.source_url,
            repeated=_is_repeated(),
        )
        accepted = await stages.submit_video(order)
        await self._journal.change(
            "video accepted, waiting for its callback",
            tasks={**self._journal.record.tasks, order.external_id: accepted.vendor_id},
        )
        return await stages.await_video(order, accepted, self._callbacks)

    @property
    def _permit(self) -> Permit:
        if self._seat.permit is None:
            raise StageFailed("internal", "A stage was begun without the slot.")
        # Ours by now, so nothing that is begun under it waits for another run any more.
        return self._seat.permit.model_copy(update={"after": None})

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
        kept: Kept | None = await workflow.execute_activity(
            DRAIN_ACTIVITY,
            Drain(
                job_id=self._journal.record.job_id,
                run_id=self._journal.record.run_id,
                hold_seconds=0,
            ),
            result_type=Kept,
            summary="clear the vendors",
            start_to_close_timeout=timedelta(seconds=self._limits.drain_seconds) + DRAIN_MARGIN,
            heartbeat_timeout=HEARTBEAT_TIMEOUT,
            retry_policy=RETRY_POLICY,
        )
        if kept is not None and kept.assets:
            await self._journal.change(
                f"kept what was paid for: {', '.join(kept.assets)}",
                assets={**self._journal.record.assets, **kept.assets},
                asset_url=kept.asset_url,
            )

    @workflow.signal(name=GRANTED_SIGNAL)
    def slot_granted(self, permit: Permit) -> None:
        """The keeper grants the slot, now or after another run; a repeat changes nothing."""
        self._seat.offer(permit)

    @workflow.signal(name=REFUSED_SIGNAL)
    def slot_refused(self, room: int) -> None:
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


def _is_repeated() -> bool:
    """Whether a run before this one has had the same job: it was reset."""
    info = workflow.info()
    return info.run_id != info.first_execution_run_id
