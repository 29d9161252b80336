"""GenVideoWorkflow: one job from queue to end; the only author of the job's state."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from services.worker.deterministic import stages
    from services.worker.deterministic.attempts import after_failure, collected
    from services.worker.deterministic.cancellation import (
        Cancellation,
        Interrupted,
        Limits,
        StageFailed,
    )
    from services.worker.deterministic.ending import Ending
    from services.worker.deterministic.journal import AnothersRecord, EndedBefore, Journal
    from services.worker.models import Order, Stored, VideoOrder, VideoWatch
    from shared.errors import QueueFull, RecordStands
    from shared.failures import MAX_ATTEMPTS
    from shared.jobs.closing import MESSAGES
    from shared.jobs.genvideo import GENVIDEO, IMAGE, VIDEO, GenVideoInput
    from shared.jobs.messages import Progress, ProgressReport, Record, StageDone
    from shared.jobs.states import OnVideoFailure, Status
    from shared.pipeline.definition import Stage
    from shared.semaphore.holding import Semaphore
    from shared.temporal.client import (
        GET_PROGRESS_QUERY,
        GET_RECORD_QUERY,
        PROGRESS_SIGNAL,
    )

Ordered = TypeVar("Ordered", bound=Order)
T = TypeVar("T")
# One attempt at a stage, by its number from 1.
Attempt = Callable[[int], Awaitable[Stored]]
STARTED_AGAIN = "started_again"


@workflow.defn(name=GENVIDEO.workflow)
class GenVideoWorkflow:
    """Queue, image, video, end. It holds the slot from its grant until its run closes."""

    @workflow.init
    def __init__(self, job: GenVideoInput) -> None:
        self._job = job
        self._journal = Journal(job)
        self._cancellation = Cancellation()
        workflow.register_random_seed_callback(self._cancellation.reset)
        self._slot = self._semaphore(GENVIDEO.slot)
        self._request = self._slot.request
        self._gates = {name: self._semaphore(name) for name in GENVIDEO.names}
        self._callbacks: dict[str, StageDone] = {}
        self._limits = Limits(self._cancellation)
        self._ending = Ending(
            self._request,
            self._journal,
            self._cancellation,
            slot=self._slot,
            limits=self._limits,
        )
        self._started_again = False

    @property
    def is_reset(self) -> bool:
        """Whether this run was reset: it begins nothing of its own."""
        return self._cancellation.is_reset

    @workflow.run
    async def run(self, job: GenVideoInput) -> Progress:
        """The job's last progress; raises when it failed or was cancelled, as Temporal shows it."""
        await self._cancellation.watch(asyncio.create_task(self._until_ended()))
        return self._outcome()

    async def _until_ended(self) -> None:
        try:
            await self._work()
        except EndedBefore:
            workflow.logger.info("the end stands as it was recorded before")
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
            await self._both_stages()
        except Interrupted as interrupted:
            await self._ending.early(interrupted)
        except StageFailed as failure:
            await self._ending.badly(Status.FAILED, "failed", failure)
        except stages.LocalFailed as local:
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
        start = workflow.info().workflow_start_time
        priority = self._job.priority
        return Semaphore(name, priority=priority, clean_up=GENVIDEO.clean_up, requested_at=start)

    async def _until_held(
        self, semaphore: Semaphore, *, asking: asyncio.Task[None] | None = None
    ) -> None:
        """Return with the permit; StageFailed where too many wait already."""
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

    async def _both_stages(self) -> None:
        image = await self._stage(IMAGE, self._image_attempt)
        # The video's gate goes back with the run itself, which closes behind that stage.
        self._gates[IMAGE.name].release()

        async def attempt(number: int) -> Stored:
            return await self._video_attempt(number, image)

        try:
            video = await self._stage(VIDEO, attempt, image=image)
        except StageFailed as failure:
            if self._job.on_video_failure is not OnVideoFailure.IMAGE:
                raise
            await self._ending.badly(Status.DEGRADED, "ended with the image alone", failure)
            return
        await self._journal.change(
            "video stored",
            status=Status.SUCCEEDED,
            percent=100,
            **self._journal.stored(VIDEO.name, video),
        )

    async def _stage(
        self, stage: Stage, attempt: Attempt, *, image: Stored | None = None
    ) -> Stored:
        """One stage with its attempts, behind its gate where that is on."""
        gate = self._gates[stage.name]
        if gate.name in self._limits.all.gates:
            note, fields = self._with_stored(image, f"waiting for the {gate.name} gate")
            await self._journal.change(note, **fields)
            stages.check_not_reset()
            await self._until_held(gate, asking=asyncio.create_task(gate.ask()))
        number = 1
        while True:
            self._cancellation.check()
            try:
                await self._begin_attempt(stage.name, number, image=image)
                return await attempt(number)
            except StageFailed as failure:
                await after_failure(
                    self._journal, failure, self._cancellation, step=stage.name, number=number
                )
                number += 1

    async def _image_attempt(self, number: int) -> Stored:
        return await self._submitted(stages.start_image, self._order(IMAGE, number))

    async def _submitted(self, start: Callable[[Ordered], stages.Started[T]], order: Ordered) -> T:
        """The result of an activity that writes the order's record, then submits the order."""
        while True:
            try:
                return await self._cancellation.finish(start(order), ours=order.external_id)
            except StageFailed as failure:
                if failure.code != RecordStands.code:
                    raise
                record = await self._journal.write_again()
                in_doubt = order.in_doubt or failure.in_doubt
                order = order.model_copy(update={"record": record, "in_doubt": in_doubt})

    async def _video_attempt(self, number: int, image: Stored) -> Stored:
        order = VideoOrder(
            **self._order(VIDEO, number).model_dump(),
            image_id=image.vendor_id,
            image_url=image.source_url,
        )
        accepted = await self._submitted(stages.start_submit, order)
        await self._journal.change(
            "video accepted, waiting for its callback",
            tasks={**self._journal.record.tasks, order.external_id: accepted.vendor_id},
        )
        order = order.model_copy(update={"record": None})
        watch = VideoWatch(order=order, accepted=accepted)
        return await collected(watch, self._callbacks, self._cancellation)

    def _order(self, stage: Stage, number: int) -> Order:
        limits, permit = self._limits.all, self._slot.permit
        if permit is None:
            raise RuntimeError("a stage begins with the slot's permit")
        return Order(
            request=self._request,
            step=stage.name,
            attempt=number,
            token=permit.token,
            job=self._job,
            deadline_seconds=limits.stages[stage.name].deadline,
            give_up_seconds=limits.stages[stage.name].give_up,
            pace=limits.pace,
            record=self._journal.record,
        )

    async def _begin_attempt(self, step: str, number: int, *, image: Stored | None) -> None:
        permit = self._slot.permit
        note, fields = self._with_stored(image, f"{step}, attempt {number} of {MAX_ATTEMPTS}")
        await self._journal.begin(
            note,
            **fields,
            status=Status.RUNNING,
            step=step,
            percent=0,
            token=permit.token if permit else None,
            attempts=self._journal.state.attempts_with(step, number),
        )
        self._cancellation.check()

    def _with_stored(self, image: Stored | None, note: str) -> tuple[str, dict[str, object]]:
        """The note and fields of a change, with the image that has just been stored: one change
        for both, because the vendor waits for it."""
        if image is None or IMAGE.name in self._journal.record.assets:
            return note, {}
        return f"image stored; {note}", self._journal.stored(IMAGE.name, image)

    @workflow.signal(name=GENVIDEO.done)
    def kling_done(self, done: StageDone) -> None:
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
