"""Stand-ins around the semaphore: jobs that hold until told, and the clean-up after them."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import uuid4

from temporalio import activity, workflow
from temporalio.client import Client, WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import Worker

from services.semaphore.worker import running_semaphore
from shared.jobs.genvideo import GENVIDEO, GenVideoInput
from shared.jobs.slots import JOB_GATE
from shared.pipeline.definition import DRAIN_ACTIVITY, OPEN_RECORDS_ACTIVITY
from shared.semaphore.client import start_semaphore
from shared.semaphore.holding import Semaphore
from shared.semaphore.messages import (
    CHANGE_UPDATE,
    Drain,
    OpenRecords,
    OpenRun,
    Permit,
    SlotChange,
    SlotRequest,
    SlotView,
    Wait,
    memo_of,
    semaphore_id,
)
from shared.semaphore.runner import WorkflowRunner
from shared.semaphore.state import SemaphoreRules
from tests.fixtures.eventually import PATIENCE_SECONDS, eventually
from tests.fixtures.semaphore import semaphore_view

ENTER, LEAVE = "enter", "leave"
LOCAL = timedelta(seconds=10)
POLL_SECONDS = 0.02
JobHandle = WorkflowHandle["StandIn", None]


@workflow.defn(name=GENVIDEO.workflow)
class StandIn:
    """A job without work, at the gate that its style names: holds its permit until its signal."""

    @workflow.init
    def __init__(self, job: GenVideoInput) -> None:
        start = workflow.info().workflow_start_time
        self.place = Semaphore(job.style, clean_up=GENVIDEO.clean_up, requested_at=start)
        self.passed = False
        self.end: str | None = None

    @workflow.run
    async def run(self, job: GenVideoInput) -> None:
        """The slot is asked for by who starts it, a stage's gate by itself, as with real jobs."""
        if job.style != JOB_GATE:
            await self.place.ask()
        try:
            await self.hold()
        finally:
            await workflow.execute_local_activity(
                LEAVE, self.place.request.run_id, start_to_close_timeout=LOCAL
            )
        if self.end == "fail":
            raise ApplicationError("told to fail", non_retryable=True)

    async def hold(self) -> None:
        await workflow.wait_condition(lambda: self.place.permit is not None)
        await workflow.execute_local_activity(
            ENTER, self.place.permit, start_to_close_timeout=LOCAL
        )
        await workflow.wait_condition(lambda: self.passed or self.end is not None)
        if self.passed:
            await workflow.execute_local_activity(
                LEAVE, self.place.request.run_id, start_to_close_timeout=LOCAL
            )
            self.place.release()
            await workflow.wait_condition(lambda: self.end is not None)

    @workflow.signal
    def pass_on(self) -> None:
        self.passed = True

    @workflow.signal
    def finish(self, end: str) -> None:
        self.end = end


class Book:
    """Who is in and who has been; fed by the stand-ins themselves, not by the semaphore.

    `open`: the runs that `open_records` returns, once `records_readable` is set. `drained`: what a
    drain returns, once `vendors_clear` is set.
    """

    def __init__(self) -> None:
        self.permits: list[Permit] = []
        self.inside: set[str] = set()
        self.most = 0
        self.drains: list[Drain] = []
        self.vendors_clear = asyncio.Event()
        self.drained: object = {"cleared": True}
        self.open: tuple[OpenRun, ...] = ()
        self.asked_records: list[str | None] = []
        self.records_readable = asyncio.Event()
        self.records_readable.set()
        self._changed = asyncio.Condition()

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
    async def drain(self, drain: Drain) -> object:
        """The vendor works for a killed job until the test says that it is clear."""
        self.drains.append(drain)
        await self._tell()
        while not self.vendors_clear.is_set():
            activity.heartbeat()
            await asyncio.sleep(POLL_SECONDS)
        await self.leave(drain.run_id)
        return self.drained

    @activity.defn(name=OPEN_RECORDS_ACTIVITY)
    async def open_records(self) -> OpenRecords:
        self.asked_records.append(activity.info().workflow_id)
        await self._tell()
        await self.records_readable.wait()
        return OpenRecords(runs=self.open)

    @property
    def entered(self) -> list[str]:
        """The ids of the jobs that came in, in that order."""
        return [permit.job_id for permit in self.permits]

    @property
    def drained_jobs(self) -> list[str]:
        """The ids of the jobs whose drain has begun, in that order."""
        return [drain.job_id for drain in self.drains]

    @property
    def tokens_grow(self) -> bool:
        tokens = [permit.token for permit in self.permits]
        return tokens == sorted(set(tokens))

    async def until(self, reached: Callable[[], bool]) -> None:
        """Return when the stand-ins have reached something."""
        async with asyncio.timeout(PATIENCE_SECONDS), self._changed:
            await self._changed.wait_for(reached)

    async def has_entered(self, *job_ids: str) -> None:
        await self.until(lambda: not Counter(job_ids) - Counter(self.entered))

    async def has_drained(self, *job_ids: str) -> None:
        """Return when so many drains of these jobs have begun."""
        await self.until(lambda: not Counter(job_ids) - Counter(self.drained_jobs))

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()


class Jobs:
    """Starts stand-ins at one gate, ends them, and looks at the gate's semaphore."""

    def __init__(self, client: Client, book: Book, gate: str = JOB_GATE) -> None:
        self.client = client
        self.book = book
        self.gate = gate

    def at(self, gate: str) -> "Jobs":
        """The same for another gate."""
        return Jobs(self.client, self.book, gate)

    def worker(self) -> Worker:
        """The jobs' own worker, which the semaphore needs as well: for records and drains."""
        book = self.book
        return Worker(
            self.client,
            task_queue=GENVIDEO.name,
            workflows=[StandIn],
            activities=[book.enter, book.leave, book.drain, book.open_records],
            workflow_runner=WorkflowRunner(),
            max_heartbeat_throttle_interval=timedelta(milliseconds=100),
        )

    async def begin(
        self, job_id: str, *, priority: int = 3, lives: timedelta | None = None
    ) -> JobHandle:
        """Start one that has not asked for the slot."""
        return await self.client.start_workflow(
            StandIn.run,
            GenVideoInput(prompt=job_id, style=self.gate, priority=priority),
            id=job_id,
            task_queue=GENVIDEO.name,
            execution_timeout=lives,
            memo=memo_of(self.gate, Wait(priority=priority, clean_up=GENVIDEO.clean_up)),
        )

    async def start(
        self, job_id: str, *, priority: int = 3, lives: timedelta | None = None
    ) -> JobHandle:
        """Start one, and return when the semaphore knows it."""
        handle = await self.begin(job_id, priority=priority, lives=lives)
        if self.gate == JOB_GATE:
            await self.ask(await self.request_of(handle, priority=priority))
        await self.until(lambda view: self._knows(view, job_id))
        return handle

    async def line_up(self, *job_ids: str) -> list[JobHandle]:
        """Start several in this order; the first has entered."""
        handles = [await self.start(job_id) for job_id in job_ids]
        await self.book.has_entered(job_ids[0])
        return handles

    async def foreign(self, workflow_id: str) -> WorkflowHandle[object, object]:
        """A run of a foreign workflow without a worker."""
        return await self.client.start_workflow("Foreign", id=workflow_id, task_queue="nobody")

    async def request_of(
        self, handle: WorkflowHandle[Any, Any], *, priority: int = 3
    ) -> SlotRequest:
        """The request of a run."""
        run = await handle.describe()
        return SlotRequest(
            job_id=run.id,
            run_id=run.run_id,
            priority=priority,
            requested_at=run.start_time,
            clean_up=GENVIDEO.clean_up,
        )

    async def ask(self, *requests: SlotRequest) -> None:
        """Send requests in one signal, as a worker of the jobs does."""
        await start_semaphore(self.client, self.gate, requests=requests)

    async def finish(self, job_id: str, end: str = "well") -> None:
        """Let one end, and return when it has."""
        handle: JobHandle = self.client.get_workflow_handle(job_id)
        await handle.signal(StandIn.finish, end)
        await handle.result()

    async def finish_all(self, *job_ids: str) -> None:
        """They enter one after the other, and end."""
        for job_id in job_ids:
            await self.book.has_entered(job_id)
            await self.finish(job_id)
        assert self.book.entered[-len(job_ids) :] == list(job_ids)

    @property
    def semaphore(self) -> WorkflowHandle[object, object]:
        return self.client.get_workflow_handle(semaphore_id(self.gate))

    async def run(self) -> str:
        """The semaphore's latest run; empty where none is known."""
        try:
            return str((await self.semaphore.describe()).run_id)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            return ""

    async def another_run(self, old: str) -> str:
        """The semaphore's run as soon as it is another one."""
        return await eventually(self.run, lambda run: run not in ("", old))

    async def kill_semaphore(self) -> None:
        """Terminate the semaphore; return when another run has come back."""
        run = await self.run()
        await self.semaphore.terminate()
        await self.another_run(run)

    async def view(self) -> SlotView:
        return await self.until(lambda view: True)

    async def change(self, *, limit: int | None = None, paused: bool | None = None) -> SlotView:
        """Answered only when the semaphore has rebuilt."""
        view: SlotView = await self.semaphore.execute_update(
            CHANGE_UPDATE, SlotChange(limit=limit, paused=paused), result_type=SlotView
        )
        return view

    async def until(self, reached: Callable[[SlotView], bool]) -> SlotView:
        """The semaphore's view as soon as it has reached something; looking sends no events."""
        view = await eventually(
            lambda: semaphore_view(self.client, self.gate),
            lambda view: view is not None and reached(view),
        )
        assert view is not None
        return view

    def _knows(self, view: SlotView, job_id: str) -> bool:
        known = {*view.waiting, *(holder.job_id for holder in view.holders)}
        return job_id in known or job_id in self.book.entered


@asynccontextmanager
async def semaphore_of(client: Client, stack: str = "", **rules: object) -> AsyncIterator[Worker]:
    """A semaphore's process alone."""
    given = SemaphoreRules.model_validate({"stack": stack, **rules})
    async with running_semaphore(client, rules=given, shutdown_seconds=0) as worker:
        yield worker


@asynccontextmanager
async def stack_of(client: Client, stack: str = "") -> AsyncIterator[None]:
    """A semaphore's process with the jobs' worker that it needs."""
    async with Jobs(client, Book()).worker(), semaphore_of(client, stack):
        yield


def open_run(job_id: str, pipeline: str = "genvideo") -> OpenRun:
    """A run that Temporal does not know, and a record calls open."""
    return OpenRun(pipeline=pipeline, job_id=job_id, run_id=str(uuid4()))
