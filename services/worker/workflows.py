"""GenVideoWorkflow: one job from queue to end; the only author of the job's state."""

import asyncio
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from services.worker import stages
    from services.worker.journal import Journal
    from services.worker.models import JOB_LIMITS, JobLimits, Order, Stored, VideoOrder
    from services.worker.policies import (
        ATTEMPT_BACKOFF,
        ATTEMPT_CODES,
        DRAIN_MARGIN,
        HEARTBEAT_TIMEOUT,
        LOCAL_TIMEOUT,
        MAX_ATTEMPTS,
        RETRY_POLICY,
    )
    from services.worker.seat import Seat
    from services.worker.stages import StageFailed
    from services.worker.state import job_error
    from shared.errors import RefusedForGood, StalePermit
    from shared.messages import JobInput, KlingDone, Progress, ProgressReport, Record
    from shared.slots import DRAIN_ACTIVITY, GRANTED_SIGNAL, Drain, Permit
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
        self._callbacks: dict[str, KlingDone] = {}
        self._limits: JobLimits

    @workflow.run
    async def run(self, job: JobInput) -> Progress:
        """The job's last progress; raises when it failed or was cancelled, as Temporal shows it."""
        try:
            await self._work()
        except asyncio.CancelledError:
            await self._cancelled()
        except StageFailed as failure:
            await self._end(Status.FAILED, "failed", failure)
        await workflow.wait_condition(workflow.all_handlers_finished)
        return self._outcome()

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
        await self._seat.acquire()
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
        await self._journal.change(
            "image stored",
            percent=100,
            asset_url=image.asset_url,
            assets={Step.IMAGE: image.asset},
        )

        async def attempt(number: int) -> Stored:
            return await self._video_attempt(number, image)

        try:
            video = await self._stage(Step.VIDEO, attempt)
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

    async def _stage(self, step: Step, attempt: stages.Attempt) -> Stored:
        """One stage with its attempts; a permit of an older run is asked for again."""
        number = 1
        while True:
            try:
                await self._begin_attempt(step, number)
                return await attempt(number)
            except StageFailed as failure:
                if failure.code == StalePermit.code:
                    await self._queue_again()
                    continue
                await self._after_failure(step, number, failure)
            number += 1

    async def _queue_again(self) -> None:
        """After a reset: another run held the slot, and has recorded more than we replayed."""
        await self._journal.catch_up()
        await self._journal.change("queued again after a reset", status=Status.QUEUED, step=None)
        await self._seat.acquire()

    async def _begin_attempt(self, step: Step, number: int) -> None:
        await self._journal.change(
            f"{step}, attempt {number} of {MAX_ATTEMPTS}",
            status=Status.RUNNING,
            step=step,
            percent=0,
            token=self._permit.token,
            attempts=self._journal.state.attempts_with(step, number),
        )

    async def _after_failure(self, step: Step, number: int, failure: StageFailed) -> None:
        """Return when another attempt is due; raise when the stage has failed."""
        if failure.code == RefusedForGood.code:
            await self._journal.change(
                f"{step} refused: {failure.message}",
                attempts=self._journal.state.attempts_with(step, number - 1),
            )
        if failure.code not in ATTEMPT_CODES or number == MAX_ATTEMPTS:
            raise failure
        await self._journal.change(f"{step}, attempt {number} failed: {failure.message}")
        await workflow.sleep(ATTEMPT_BACKOFF * number)

    async def _image_attempt(self, number: int) -> Stored:
        return await stages.generate_image(
            Order(
                permit=self._permit,
                step=Step.IMAGE,
                attempt=number,
                job=self._job,
                deadline_seconds=self._limits.image_seconds,
            )
        )

    async def _video_attempt(self, number: int, image: Stored) -> Stored:
        order = VideoOrder(
            permit=self._permit,
            step=Step.VIDEO,
            attempt=number,
            job=self._job,
            deadline_seconds=self._limits.video_seconds,
            image_url=image.source_url,
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
        return self._seat.permit

    async def _end(self, status: Status, note: str, failure: StageFailed) -> None:
        await self._journal.change(
            note, status=status, error=job_error(failure.code, failure.message)
        )

    async def _cancelled(self) -> None:
        if self._seat.granted():
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
        await workflow.execute_activity(
            DRAIN_ACTIVITY,
            Drain(
                job_id=self._journal.record.job_id,
                run_id=self._journal.record.run_id,
                hold_seconds=0,
            ),
            summary="clear the vendors",
            start_to_close_timeout=timedelta(seconds=self._limits.drain_seconds) + DRAIN_MARGIN,
            heartbeat_timeout=HEARTBEAT_TIMEOUT,
            retry_policy=RETRY_POLICY,
        )

    @workflow.signal(name=GRANTED_SIGNAL)
    def slot_granted(self, permit: Permit) -> None:
        """The keeper grants the slot; a repeat changes nothing."""
        self._seat.permit = permit

    @workflow.signal(name=KLING_DONE_SIGNAL)
    def kling_done(self, done: KlingDone) -> None:
        """A callback says that a task has ended; kept per attempt, the first one counts."""
        self._callbacks.setdefault(done.external_id, done)

    @workflow.signal(name=PROGRESS_SIGNAL)
    async def report_progress(self, report: ProgressReport) -> None:
        """An activity reports a percent."""
        await self._journal.report(report.external_id, report.percent)

    @workflow.query(name=GET_PROGRESS_QUERY)
    def get_progress(self) -> Progress:
        """Where the job stands."""
        return self._journal.state.progress()

    @workflow.query(name=GET_RECORD_QUERY)
    def get_record(self) -> Record:
        """The whole record, so that a lost file can be made again from Temporal alone."""
        return self._journal.record
