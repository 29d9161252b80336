"""Jobs that only pass a stage's gate, each step when it is told."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from temporalio import workflow
from temporalio.client import Client, WorkflowHandle

from services.semaphore.models import SemaphoreRules
from services.semaphore.worker import running_semaphore
from services.worker.deterministic.cancellation import Cancellation
from services.worker.deterministic.turn import StageTurn
from shared.jobs.messages import JobInput
from shared.slot.messages import (
    CHANGE_UPDATE,
    GRANTED_SIGNAL,
    ON_DECK_SIGNAL,
    Gate,
    Permit,
    SlotChange,
    SlotRequest,
    SlotView,
    semaphore_id,
)
from shared.temporal.client import GENVIDEO_QUEUE, GENVIDEO_WORKFLOW
from tests.fixtures.eventually import eventually
from tests.fixtures.semaphore_view import holders, semaphore_view
from tests.services.semaphore.asking import order
from tests.services.semaphore.standins import ENTER, LEAVE, LOCAL, Book, held

PassHandle = WorkflowHandle["Passer", None]


@workflow.defn(name=GENVIDEO_WORKFLOW, sandboxed=False)
class Passer:
    """A job that only passes the image's gate, each step when it is told; then it goes on."""

    @workflow.init
    def __init__(self, job: JobInput) -> None:
        info = workflow.info()
        self.request = SlotRequest(
            job_id=info.workflow_id, run_id=info.run_id, requested_at=info.workflow_start_time
        )
        self.cancellation = Cancellation()
        self.gate = StageTurn(Gate.IMAGE, self.request, self.cancellation)
        self.told = 0

    @workflow.run
    async def run(self, job: JobInput) -> None:
        await workflow.wait_condition(lambda: self.told >= 1)
        asked = order(self.request, job, gates=(Gate.IMAGE,))
        permit = await held(self.gate, self.cancellation, asked)
        await workflow.execute_local_activity(ENTER, permit, start_to_close_timeout=LOCAL)
        await workflow.wait_condition(lambda: self.told >= 2)
        run_id = workflow.info().run_id
        await workflow.execute_local_activity(LEAVE, run_id, start_to_close_timeout=LOCAL)
        await self.gate.give_back()
        await workflow.wait_condition(lambda: self.told >= 3)
        await workflow.wait_condition(workflow.all_handlers_finished)

    @workflow.signal(name=ON_DECK_SIGNAL)
    def on_deck(self, gate: Gate) -> None:
        if gate is Gate.IMAGE:
            self.gate.tell()

    @workflow.signal(name=GRANTED_SIGNAL)
    def slot_granted(self, permit: Permit) -> None:
        if permit.gate is Gate.IMAGE:
            self.gate.offer(permit)

    @workflow.signal
    def step(self) -> None:
        self.told += 1


class Passers:
    """Starts them, leads them on, and looks at the gate's semaphore."""

    def __init__(self, client: Client, book: Book) -> None:
        self.client, self.book = client, book

    async def start(self, *names: str) -> list[PassHandle]:
        """Some that ask for the gate, in this order."""
        handles = [await self.idle(name) for name in names]
        for handle in handles:
            await handle.signal(Passer.step)
            await self.knows(handle.id)
        return handles

    async def idle(self, name: str) -> PassHandle:
        """One that doesn't ask yet."""
        job = JobInput(prompt=name, style="ink")
        return await self.client.start_workflow(Passer.run, job, id=name, task_queue=GENVIDEO_QUEUE)

    async def knows(self, name: str) -> None:
        """Return when the semaphore knows of one that asks."""
        await self.until(lambda view: name in {*view.waiting, *holders(view)})

    async def until(self, reached: Callable[[SlotView], bool]) -> SlotView:
        view = await eventually(
            lambda: semaphore_view(self.client, Gate.IMAGE),
            lambda view: view is not None and reached(view),
        )
        assert view is not None
        return view

    async def free(self) -> None:
        await self.until(lambda view: not view.holders and not view.waiting)

    @property
    def semaphore(self) -> WorkflowHandle[object, object]:
        return self.client.get_workflow_handle(semaphore_id(Gate.IMAGE))

    def permit(self, name: str) -> Permit:
        """What one came in with."""
        return next(each for each in self.book.permits if each.job_id == name)


@asynccontextmanager
async def semaphore_of(passers: Passers, **rules: Any) -> AsyncIterator[None]:
    """All gates' semaphores; the slot's has looked round before any of these jobs is there."""
    async with running_semaphore(passers.client, rules=SemaphoreRules(**rules), shutdown_seconds=0):
        await eventually(lambda: semaphore_view(passers.client), lambda view: view is not None)
        slot = passers.client.get_workflow_handle(semaphore_id(Gate.JOB))
        # Answered only when it has rebuilt.
        await slot.execute_update(CHANGE_UPDATE, SlotChange(paused=True))
        yield
