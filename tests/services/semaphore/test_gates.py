"""A stage's gate: held from the grant until it is given back, and never for longer than the run."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio import workflow
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import Worker

from services.semaphore.models import SemaphoreRules
from services.semaphore.worker import running_semaphore
from services.worker.acting.interceptor import JobInterceptor
from services.worker.deterministic.cancellation import Cancellation
from services.worker.deterministic.stages import start_hold
from services.worker.deterministic.turn import StageTurn
from shared.jobs.messages import JobInput
from shared.slot.messages import (
    CHANGE_UPDATE,
    GRANTED_SIGNAL,
    ON_DECK_SIGNAL,
    RELEASE_SIGNAL,
    REQUEST_SIGNAL,
    Gate,
    Permit,
    Release,
    SlotChange,
    SlotRequest,
    SlotView,
    semaphore_id,
)
from shared.temporal.client import GENVIDEO_QUEUE, GENVIDEO_WORKFLOW
from tests.fixtures.eventually import eventually
from tests.fixtures.semaphore_view import semaphore_view
from tests.services.semaphore.asking import order
from tests.services.semaphore.standins import ENTER, LEAVE, LOCAL, Book

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
        await self.gate.come()
        asked = start_hold(order(self.request, job, gates=(Gate.IMAGE,)))
        permit = await self.cancellation.finish(asked)
        self.gate.offer(permit)
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


def holders(view: SlotView) -> list[str]:
    return [holder.job_id for holder in view.holders]


@asynccontextmanager
async def semaphore_of(passers: Passers, **rules: Any) -> AsyncIterator[None]:
    """All gates' semaphores; the slot's has looked round before any of these jobs is there."""
    async with running_semaphore(passers.client, rules=SemaphoreRules(**rules), shutdown_seconds=0):
        await eventually(lambda: semaphore_view(passers.client), lambda view: view is not None)
        slot = passers.client.get_workflow_handle(semaphore_id(Gate.JOB))
        # Answered only when it has rebuilt.
        await slot.execute_update(CHANGE_UPDATE, SlotChange(paused=True))
        yield


@pytest.fixture
async def passers(client: Client) -> AsyncIterator[Passers]:
    """Without a semaphore's process."""
    book = Book(client)
    async with Worker(
        client,
        task_queue=GENVIDEO_QUEUE,
        workflows=[Passer],
        activities=[book.hold, book.enter, book.leave, book.drain],
        interceptors=[JobInterceptor()],
        max_heartbeat_throttle_interval=timedelta(milliseconds=100),
    ):
        yield Passers(client, book)


async def test_who_has_passed_goes_on_while_the_next_one_passes(passers: Passers) -> None:
    async with semaphore_of(passers, max_history=25):
        names = [f"job-{n}" for n in range(6)]
        handles = await passers.start(*names)
        for name, handle in zip(names, handles, strict=True):
            await passers.book.has_entered(name)
            await handle.signal(Passer.step)
        await passers.free()
        assert passers.book.entered == names
        assert passers.book.most == 1
        assert all(permit.gate is Gate.IMAGE for permit in passers.book.permits)
        for handle in handles:
            await handle.signal(Passer.step)
            await handle.result()


async def test_a_release_counts_for_its_run_and_token_alone(passers: Passers) -> None:
    async with semaphore_of(passers):
        holder, waiter = await passers.start("holder", "waiter")
        await passers.book.has_entered("holder")
        token = passers.permit("holder").token
        run, other = str(holder.first_execution_run_id), str(waiter.first_execution_run_id)
        for run_id, number in ((run, token - 1), (run, token + 1), (other, token)):
            await passers.semaphore.signal(RELEASE_SIGNAL, Release(run_id=run_id, token=number))
        view = await passers.until(lambda view: True)
        assert (holders(view), view.waiting) == (["holder"], ("waiter",))
        for _ in range(3):
            await passers.semaphore.signal(RELEASE_SIGNAL, Release(run_id=run, token=token))
        await passers.book.has_entered("waiter")
        view = await passers.until(lambda view: True)
        assert (holders(view), view.waiting) == (["waiter"], ())


@pytest.mark.usefixtures("quick_care")
async def test_who_is_next_and_wants_nothing_is_passed_over(passers: Passers) -> None:
    async with semaphore_of(passers, ask_patience=0.3):
        idle = await passers.idle("idle")
        request = SlotRequest(
            job_id="idle", run_id=str(idle.first_execution_run_id), requested_at=datetime.now(UTC)
        )
        await passers.until(lambda view: True)
        await passers.semaphore.signal(REQUEST_SIGNAL, [request])
        [following] = await passers.start("next")
        await passers.book.has_entered("next")
        view = await passers.until(lambda view: view.waiting == ("idle",))
        assert holders(view) == ["next"]
        await idle.signal(Passer.step)
        await following.signal(Passer.step)
        await passers.book.has_entered("idle")
        assert passers.book.entered == ["next", "idle"]


async def test_the_close_gives_back_what_was_not(passers: Passers) -> None:
    async with semaphore_of(passers):
        holder, _ = await passers.start("holder", "next")
        await passers.book.has_entered("holder")
        await holder.cancel()
        await passers.book.has_entered("next")
        assert passers.book.drains == []


async def test_after_a_kill_the_vendors_are_cleared_first(passers: Passers) -> None:
    async with semaphore_of(passers):
        holder, _ = await passers.start("holder", "next")
        await passers.book.has_entered("holder")
        await holder.terminate()
        await passers.until(lambda view: view.holders[0].draining)
        assert passers.book.entered == ["holder"]
        passers.book.vendors_clear.set()
        await passers.book.has_entered("next")
        assert passers.book.most == 1


async def test_a_rebuilt_semaphore_knows_who_has_passed_who_holds_and_who_waits(
    passers: Passers,
) -> None:
    async with semaphore_of(passers):
        passed, _, _ = await passers.start("passed", "holder", "waiter")
        await passers.book.has_entered("passed")
        await passed.signal(Passer.step)
        await passers.book.has_entered("holder")
        await passers.idle("idle")
        before = await passers.until(lambda view: holders(view) == ["holder"])
        await passers.semaphore.terminate()
        after = await passers.until(lambda view: view.waiting == ("waiter",) and bool(view.holders))
        assert [each.token for each in after.holders] == [each.token for each in before.holders]
        assert holders(after) == ["holder"]


async def test_what_was_said_to_nobody_is_read_from_the_histories(passers: Passers) -> None:
    """One asks and one passes while there is no semaphore that could hear them.

    That one is killed then: it has left nothing behind at a gate that it had passed.
    """
    async with semaphore_of(passers):
        [holder] = await passers.start("holder")
        await passers.book.has_entered("holder")
    await passers.semaphore.terminate()
    await holder.signal(Passer.step)
    later = await passers.idle("later")
    await later.signal(Passer.step)
    await eventually(lambda: said(holder), lambda count: count == 2)
    await eventually(lambda: said(later), lambda count: count == 1)
    await holder.terminate()
    async with semaphore_of(passers):
        await passers.book.has_entered("later")
        view = await passers.until(lambda view: True)
        assert (holders(view), view.waiting) == (["later"], ())
        assert passers.book.drains == []


async def said(handle: PassHandle) -> int:
    """How many of the signals of a run are known to have failed or arrived."""
    history = await handle.fetch_history()
    settled = (
        EventType.EVENT_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_FAILED,
        EventType.EVENT_TYPE_EXTERNAL_WORKFLOW_EXECUTION_SIGNALED,
    )
    return sum(event.event_type in settled for event in history.events)


async def test_each_gate_has_limit_and_queue_of_its_own(passers: Passers) -> None:
    async with semaphore_of(passers):
        await passers.start("holder", "waiter")
        other = await eventually(lambda: semaphore_view(passers.client, Gate.VIDEO), bool)
        assert other is not None
        assert (other.holders, other.waiting, other.limit) == ((), (), 1)
        view = await passers.semaphore.execute_update(
            CHANGE_UPDATE, SlotChange(limit=2), result_type=SlotView
        )
        assert view.limit == 2
        await passers.book.has_entered("waiter")
        other = await eventually(lambda: semaphore_view(passers.client, Gate.VIDEO), bool)
        assert other is not None
        assert other.limit == 1
