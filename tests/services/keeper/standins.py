"""Stand-ins around the keeper: jobs that hold the slot until told, and the clean-up after them."""

import asyncio
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from temporalio import activity, workflow
from temporalio.client import Client, WorkflowHandle
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker

from services.worker.models import REQUEST_SLOT
from services.worker.seat import Seat
from services.worker.stages import StageFailed
from shared.errors import StoodDown, to_application_error
from shared.keepers import start_keeper
from shared.messages import JobInput
from shared.slots import (
    BEGUN_SIGNAL,
    CHANGE_UPDATE,
    DISARM_SIGNAL,
    DRAIN_ACTIVITY,
    GRANTED_SIGNAL,
    JOB_GATE,
    REFUSED_SIGNAL,
    Drain,
    Permit,
    SlotChange,
    SlotRequest,
    SlotView,
    keeper_id,
)
from shared.temporal import GENVIDEO_QUEUE, GENVIDEO_WORKFLOW
from shared.watching import Closed, until_closed
from tests.fixtures.eventually import PATIENCE_SECONDS, eventually
from tests.fixtures.keeper_view import keeper_view

FOLLOW, ENTER, LEAVE = "follow", "enter", "leave"
LOCAL = timedelta(seconds=10)
POLL_SECONDS = 0.02
JobHandle = WorkflowHandle["StandIn", None]


@workflow.defn(name=GENVIDEO_WORKFLOW, sandboxed=False)
class StandIn:
    """A job without work: asks for the slot, holds it, ends as it is told."""

    @workflow.init
    def __init__(self, job: JobInput) -> None:
        self.seat = Seat(job.priority)
        self.end: str | None = None

    @workflow.run
    async def run(self, job: JobInput) -> None:
        """`style` says how often the request is sent; the side of the slot is the real one."""
        info = workflow.info()
        request = SlotRequest(
            job_id=info.workflow_id,
            run_id=info.run_id,
            priority=job.priority,
            requested_at=info.workflow_start_time,
        )
        for _ in range(int(job.style) - 1):
            await workflow.execute_local_activity(
                REQUEST_SLOT, request, start_to_close_timeout=LOCAL
            )
        try:
            await self.seat.take(follow)
        except StageFailed as refused:
            raise ApplicationError(refused.message, type=refused.code) from None
        await workflow.execute_local_activity(ENTER, self.seat.permit, start_to_close_timeout=LOCAL)
        try:
            await workflow.wait_condition(lambda: self.end is not None)
        except asyncio.CancelledError:
            await self._leave()
            raise
        await self._leave()
        if self.end == "fail":
            raise ApplicationError("told to fail", non_retryable=True)

    async def _leave(self) -> None:
        await workflow.execute_local_activity(
            LEAVE, workflow.info().run_id, start_to_close_timeout=LOCAL
        )

    @workflow.signal(name=GRANTED_SIGNAL)
    def slot_granted(self, permit: Permit) -> None:
        self.seat.offer(permit)

    @workflow.signal(name=REFUSED_SIGNAL)
    def queue_full(self, room: int) -> None:
        self.seat.refuse(room)

    @workflow.signal(name=DISARM_SIGNAL)
    def disarm(self, permit: Permit) -> None:
        self.seat.disarm(permit)

    @workflow.signal(name=BEGUN_SIGNAL)
    def begun(self) -> None:
        self.seat.begun = True

    @workflow.signal
    def finish(self, end: str) -> None:
        self.end = end


def follow(permit: Permit) -> workflow.ActivityHandle[Any]:
    """An armed stand-in has nothing to begin with but the wait itself."""
    return workflow.start_activity(
        FOLLOW,
        permit,
        start_to_close_timeout=timedelta(minutes=5),
        heartbeat_timeout=timedelta(seconds=2),
        retry_policy=RetryPolicy(initial_interval=timedelta(milliseconds=50)),
        cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    )


class Book:
    """Who is in and who has been; fed by the stand-ins themselves, not by the keeper."""

    def __init__(self, client: Client) -> None:
        self.permits: list[Permit] = []
        self.inside: set[str] = set()
        self.most = 0
        self.drains: list[Drain] = []
        self.vendors_clear = asyncio.Event()
        self._client = client
        self._changed = asyncio.Condition()

    @activity.defn(name=REQUEST_SLOT)
    async def ask(self, request: SlotRequest) -> None:
        await start_keeper(self._client, requests=[request])

    @activity.defn(name=FOLLOW)
    async def follow(self, permit: Permit) -> None:
        """Begin at the orderly close of the run before, as an armed image does."""
        assert permit.after is not None
        beat = asyncio.create_task(self._beat())
        try:
            closed = await until_closed(self._client, permit.after)
        finally:
            beat.cancel()
        if closed is not Closed.ORDERLY:
            raise to_application_error(StoodDown("not yet"))
        handle = self._client.get_workflow_handle(permit.job_id, run_id=permit.run_id)
        await asyncio.shield(asyncio.create_task(handle.signal(BEGUN_SIGNAL)))

    async def _beat(self) -> None:
        while True:
            activity.heartbeat()
            await asyncio.sleep(POLL_SECONDS)

    @activity.defn(name=ENTER)
    async def enter(self, permit: Permit) -> None:
        self.permits.append(permit)
        self.inside.add(permit.run_id)
        self.most = max(self.most, len(self.inside))
        await self._tell()

    @activity.defn(name=LEAVE)
    async def leave(self, run_id: str) -> None:
        self.inside.discard(run_id)
        await self._tell()

    @activity.defn(name=DRAIN_ACTIVITY)
    async def drain(self, drain: Drain) -> None:
        """The vendor works for a killed job until the test says that it is clear."""
        self.drains.append(drain)
        await self._tell()
        while not self.vendors_clear.is_set():
            activity.heartbeat()
            await asyncio.sleep(POLL_SECONDS)
        await self.leave(drain.run_id)

    @property
    def entered(self) -> list[str]:
        """The ids of the jobs that came in, in that order."""
        return [permit.job_id for permit in self.permits]

    async def until(self, reached: Callable[[], bool]) -> None:
        """Return when the stand-ins have reached something."""
        async with asyncio.timeout(PATIENCE_SECONDS), self._changed:
            await self._changed.wait_for(reached)

    async def has_entered(self, *job_ids: str) -> None:
        await self.until(lambda: not Counter(job_ids) - Counter(self.entered))

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()


class Jobs:
    """Starts stand-ins, ends them, and looks at the keeper."""

    def __init__(self, client: Client, book: Book) -> None:
        self.client = client
        self.book = book

    def worker(self) -> Worker:
        return Worker(
            self.client,
            task_queue=GENVIDEO_QUEUE,
            workflows=[StandIn],
            activities=[
                self.book.ask,
                self.book.follow,
                self.book.enter,
                self.book.leave,
                self.book.drain,
            ],
            max_heartbeat_throttle_interval=timedelta(milliseconds=100),
        )

    async def start(
        self, job_id: str, *, priority: int = 3, asks: int = 1, lives: timedelta | None = None
    ) -> JobHandle:
        """Start one and wait until the keeper knows it."""
        handle = await self.client.start_workflow(
            StandIn.run,
            JobInput(prompt=job_id, style=str(asks), priority=priority),
            id=job_id,
            task_queue=GENVIDEO_QUEUE,
            execution_timeout=lives,
        )
        await self.until(lambda view: self._knows(view, job_id))
        return handle

    async def finish(self, job_id: str, end: str = "well") -> None:
        """Let one end, and return when it has."""
        handle = self.client.get_workflow_handle_for(StandIn.run, job_id)
        await handle.signal(StandIn.finish, end)
        await handle.result()

    @property
    def keeper(self) -> WorkflowHandle[object, object]:
        return self.client.get_workflow_handle(keeper_id(JOB_GATE))

    async def view(self) -> SlotView:
        return await self.until(lambda view: True)

    async def change(self, *, limit: int | None = None, paused: bool | None = None) -> SlotView:
        view: SlotView = await self.keeper.execute_update(
            CHANGE_UPDATE, SlotChange(limit=limit, paused=paused), result_type=SlotView
        )
        return view

    async def until(self, reached: Callable[[SlotView], bool]) -> SlotView:
        """The keeper's view as soon as it has reached something; looking sends no events."""
        view = await eventually(
            lambda: keeper_view(self.client), lambda view: view is not None and reached(view)
        )
        assert view is not None
        return view

    def _knows(self, view: SlotView, job_id: str) -> bool:
        known = {*view.waiting, *(holder.job_id for holder in view.holders)}
        return job_id in known or job_id in self.book.entered
