"""Stand-ins around the semaphore: jobs that hold until told, and the clean-up after them."""

import asyncio
from collections import Counter
from collections.abc import Callable
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import Client, WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.worker import Worker

from services.worker.acting.acquiring import acquire
from services.worker.acting.heartbeat import beating, check_run
from services.worker.acting.interceptor import JobInterceptor
from services.worker.acting.requests import RequestActivities
from services.worker.deterministic.cancellation import Cancellation, Interrupted, StageFailed
from services.worker.deterministic.stages import start_hold
from services.worker.deterministic.turn import SlotTurn, Turn
from services.worker.models import HOLD_SLOT, REQUEST_SLOT, Order
from shared.errors import GateNotYet, NotYet
from shared.jobs.messages import JobInput
from shared.slot.messages import (
    CHANGE_UPDATE,
    DRAIN_ACTIVITY,
    GRANTED_SIGNAL,
    JOB_GATE,
    ON_DECK_SIGNAL,
    REFUSED_SIGNAL,
    Drain,
    Gate,
    Permit,
    SlotChange,
    SlotRequest,
    SlotView,
    semaphore_id,
)
from shared.temporal.client import GENVIDEO_QUEUE, GENVIDEO_WORKFLOW
from tests.fixtures.eventually import PATIENCE_SECONDS, eventually
from tests.fixtures.semaphore_history import has_asked
from tests.fixtures.semaphore_view import semaphore_view
from tests.services.semaphore.asking import order

ENTER, LEAVE = "enter", "leave"
LOCAL = timedelta(seconds=10)
POLL_SECONDS = 0.02
JobHandle = WorkflowHandle["StandIn", None]


@workflow.defn(name=GENVIDEO_WORKFLOW, sandboxed=False)
class StandIn:
    """A job without work: asks for the slot, holds it, ends as it is told."""

    @workflow.init
    def __init__(self, job: JobInput) -> None:
        info = workflow.info()
        self.job = job
        self.request = SlotRequest(
            job_id=info.workflow_id,
            run_id=info.run_id,
            priority=job.priority,
            requested_at=info.workflow_start_time,
        )
        self.cancellation = Cancellation()
        self.turn = SlotTurn(self.request, self.cancellation)
        self.end: str | None = None

    @workflow.run
    async def run(self, job: JobInput) -> None:
        """`style` says how often the request is sent; the side of the slot is the real one."""
        await self.cancellation.watch(asyncio.create_task(self._work()))
        if self.cancellation.reason is not None:
            raise asyncio.CancelledError
        if self.end == "fail":
            raise ApplicationError("told to fail", non_retryable=True)

    async def _work(self) -> None:
        for _ in range(int(self.job.style) - 1):
            await workflow.execute_local_activity(
                REQUEST_SLOT, self.request, start_to_close_timeout=LOCAL
            )
        try:
            await self.turn.ask()
            permit = await held(self.turn, self.cancellation, order(self.request, self.job))
            await workflow.execute_local_activity(ENTER, permit, start_to_close_timeout=LOCAL)
            await self.cancellation.until(lambda: self.end is not None)
        except Interrupted:
            if self.turn.permit is None:
                await self.turn.withdraw()
        except StageFailed as refused:
            raise ApplicationError(refused.message, type=refused.code) from None
        await workflow.execute_local_activity(
            LEAVE, self.request.run_id, start_to_close_timeout=LOCAL
        )

    @workflow.signal(name=ON_DECK_SIGNAL)
    def on_deck(self, gate: Gate) -> None:
        self.turn.tell()

    @workflow.signal(name=GRANTED_SIGNAL)
    def slot_granted(self, permit: Permit) -> None:
        self.turn.offer(permit)

    @workflow.signal(name=REFUSED_SIGNAL)
    def queue_full(self, room: int) -> None:
        self.turn.refuse(room)

    @workflow.signal
    def finish(self, end: str) -> None:
        self.end = end


async def held(turn: Turn, cancellation: Cancellation, asked: Order) -> Permit:
    """The permit; whenever it is not our turn, that is waited for."""
    while True:
        await turn.come()
        try:
            permit = await cancellation.finish(start_hold(asked))
        except StageFailed as failure:
            if failure.code not in (NotYet.code, GateNotYet.code):
                raise
            turn.lose()
        else:
            turn.offer(permit)
            return permit


class Book:
    """Who is in and who has been; fed by the stand-ins themselves, not by the semaphore."""

    def __init__(self, client: Client) -> None:
        self.permits: list[Permit] = []
        self.inside: set[str] = set()
        self.most = 0
        self.drains: list[Drain] = []
        self.vendors_clear = asyncio.Event()
        # How often each job has been told that it is next, so that an activity of its began.
        self.called: Counter[str] = Counter()
        self._mute: dict[str, asyncio.Event] = {}
        self._client = client
        self._changed = asyncio.Condition()

    @activity.defn(name=HOLD_SLOT)
    async def hold(self, order: Order) -> Permit:
        """Ask as the real activities do: for the order's gate, else for the slot."""
        check_run(order.request.run_id)
        job_id = order.request.job_id
        async with beating(self._client, job_id) as pulse:
            await self._note(job_id)
            await self._may_ask(job_id)
            gate = order.gates[0] if order.gates else JOB_GATE
            return (await acquire(self._client, order, gate, skew=pulse.skew)).permit

    async def _note(self, job_id: str) -> None:
        self.called[job_id] += 1
        await self._tell()

    async def _may_ask(self, job_id: str) -> None:
        if job_id in self._mute:
            await self._mute[job_id].wait()

    def mute(self, job_id: str) -> asyncio.Event:
        """Have a job's activities ask for nothing until the event is set."""
        return self._mute.setdefault(job_id, asyncio.Event())

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

    async def is_called(self, job_id: str, times: int = 1) -> None:
        """Return when a job was told that it is next, and asks."""
        await self.until(lambda: self.called[job_id] >= times)

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()


class Jobs:
    """Starts stand-ins, ends them, and looks at the semaphore."""

    def __init__(self, client: Client, book: Book) -> None:
        self.client = client
        self.book = book

    def worker(self) -> Worker:
        requests = RequestActivities(self.client)
        return Worker(
            self.client,
            task_queue=GENVIDEO_QUEUE,
            workflows=[StandIn],
            activities=[
                requests.request_slot,
                requests.withdraw_request,
                self.book.hold,
                self.book.enter,
                self.book.leave,
                self.book.drain,
            ],
            interceptors=[JobInterceptor()],
            max_heartbeat_throttle_interval=timedelta(milliseconds=100),
        )

    async def start(
        self, job_id: str, *, priority: int = 3, asks: int = 1, lives: timedelta | None = None
    ) -> JobHandle:
        """Start one and wait until the semaphore knows it."""
        handle = await self.client.start_workflow(
            StandIn.run,
            JobInput(prompt=job_id, style=str(asks), priority=priority),
            id=job_id,
            task_queue=GENVIDEO_QUEUE,
            execution_timeout=lives,
        )
        await self.until(lambda view: self._knows(view, job_id))
        return handle

    async def has_asked(self, job_id: str) -> None:
        """Return when the semaphore has heard a job ask for the permit."""
        run = await self.client.get_workflow_handle(job_id).describe()
        await has_asked(self.client, str(run.run_id))

    async def start_and_enter(self, *job_ids: str) -> None:
        """Start one after the other; those who are next at a wide gate may come in in any order."""
        for job_id in job_ids:
            await self.start(job_id)
            await self.book.has_entered(job_id)

    async def finish(self, job_id: str, end: str = "well") -> None:
        """Let one end, and return when it has."""
        handle: JobHandle = self.client.get_workflow_handle(job_id)
        await handle.signal(StandIn.finish, end)
        await handle.result()

    @property
    def semaphore(self) -> WorkflowHandle[object, object]:
        return self.client.get_workflow_handle(semaphore_id(JOB_GATE))

    async def view(self) -> SlotView:
        return await self.until(lambda view: True)

    async def change(self, *, limit: int | None = None, paused: bool | None = None) -> SlotView:
        view: SlotView = await self.semaphore.execute_update(
            CHANGE_UPDATE, SlotChange(limit=limit, paused=paused), result_type=SlotView
        )
        return view

    async def until(self, reached: Callable[[SlotView], bool]) -> SlotView:
        """The semaphore's view as soon as it has reached something; looking sends no events."""
        view = await eventually(
            lambda: semaphore_view(self.client), lambda view: view is not None and reached(view)
        )
        assert view is not None
        return view

    def _knows(self, view: SlotView, job_id: str) -> bool:
        known = {*view.waiting, *(holder.job_id for holder in view.holders)}
        return job_id in known or job_id in self.book.entered
