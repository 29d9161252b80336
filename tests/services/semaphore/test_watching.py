"""A run is watched once by a process; an orderly close is told before the watch ends."""

import asyncio
from typing import Any, cast

import pytest
from temporalio.client import Client, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import ActivityEnvironment

from services.semaphore import activities
from services.semaphore.activities import SemaphoreActivities
from services.semaphore.models import RUN_CLOSED_UPDATE, Ended, SemaphoreRules, Watch
from shared.slot.messages import Closed, Gate, RunRef
from tests.fixtures.eventually import PATIENCE_SECONDS

JOB = RunRef(job_id="job", run_id="run")


class Runs:
    """They close when the test says so; each watch that has begun is counted."""

    def __init__(self, how: Closed = Closed.ORDERLY) -> None:
        self.closed = asyncio.Event()
        self.begun = asyncio.Semaphore(0)
        self._how = how

    async def until_closed(self, _: Client, __: RunRef) -> Closed:
        self.begun.release()
        await self.closed.wait()
        return self._how


class Semaphores:
    """Hear of closes; `broken`: one that takes no update. One that is not `ready` answers later."""

    def __init__(self, *, broken: bool = False) -> None:
        self.told: list[RunRef] = []
        self.ready = asyncio.Event()
        self.ready.set()
        self._broken = broken

    def get_workflow_handle(self, *_: str, **__: str) -> "Semaphores":
        return self

    async def describe(self) -> Any:
        """Nobody asks it for anything but a newer run of the job, and there is none."""
        raise RPCError("not found", RPCStatusCode.NOT_FOUND, b"")

    async def execute_update(self, name: str, run: RunRef, **_: object) -> None:
        assert name == RUN_CLOSED_UPDATE
        if self._broken:
            raise WorkflowUpdateFailedError(ApplicationError("it was reset"))
        self.told.append(run)
        await self.ready.wait()


def process(semaphores: Semaphores) -> SemaphoreActivities:
    return SemaphoreActivities(cast(Client, semaphores), SemaphoreRules())


async def watched(of: SemaphoreActivities, run: RunRef = JOB) -> Ended:
    watch = Watch(run=run, gate=Gate.JOB, tell=False)
    return await ActivityEnvironment().run(of.watch_run, watch)


@pytest.mark.parametrize(("how", "told"), [(Closed.ORDERLY, [JOB]), (Closed.TERMINATED, [])])
async def test_an_orderly_close_alone_is_told_ahead(
    how: Closed, told: list[RunRef], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A killed run's place is kept until its leftovers are cleared."""
    runs, semaphores = Runs(how), Semaphores()
    monkeypatch.setattr(activities, "until_closed", runs.until_closed)
    runs.closed.set()
    assert (await watched(process(semaphores))).closed is how
    assert semaphores.told == told


async def test_the_watch_ends_with_a_semaphore_that_takes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runs = Runs()
    monkeypatch.setattr(activities, "until_closed", runs.until_closed)
    runs.closed.set()
    assert (await watched(process(Semaphores(broken=True)))).closed is Closed.ORDERLY


async def test_the_watch_ends_with_a_semaphore_that_does_not_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runs, semaphores = Runs(), Semaphores()
    monkeypatch.setattr(activities, "until_closed", runs.until_closed)
    monkeypatch.setattr(activities, "HAND_OVER_SECONDS", 0.05)
    runs.closed.set()
    semaphores.ready.clear()
    async with asyncio.timeout(PATIENCE_SECONDS):
        assert (await watched(process(semaphores))).closed is Closed.ORDERLY
    assert semaphores.told == [JOB]


async def test_of_those_who_close_together_one_is_told_ahead(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The others' watches end at once: asks leave the server little room for updates."""
    runs, semaphores = Runs(), Semaphores()
    monkeypatch.setattr(activities, "until_closed", runs.until_closed)
    monkeypatch.setattr(activities, "HAND_OVER_SECONDS", PATIENCE_SECONDS)
    semaphores.ready.clear()
    of = process(semaphores)
    first = asyncio.create_task(watched(of))
    await runs.begun.acquire()
    others = [RunRef(job_id="job", run_id=f"run-{number}") for number in range(3)]
    together = [asyncio.create_task(watched(of, run)) for run in others]
    runs.closed.set()
    async with asyncio.timeout(PATIENCE_SECONDS):
        await asyncio.gather(*together)
    assert semaphores.told == [JOB]
    assert not first.done()
    semaphores.ready.set()
    assert (await first).closed is Closed.ORDERLY
    runs.closed.set()
    await watched(of, others[0])
    assert semaphores.told == [JOB, others[0]]


async def test_the_latest_watch_of_a_run_ends_the_one_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runs = Runs()
    monkeypatch.setattr(activities, "until_closed", runs.until_closed)
    semaphore = process(Semaphores())

    async def begin(gate: Gate, run_id: str) -> asyncio.Task[Ended]:
        watch = Watch(run=RunRef(job_id="job", run_id=run_id), gate=gate, tell=False)
        task = asyncio.create_task(ActivityEnvironment().run(semaphore.watch_run, watch))
        await runs.begun.acquire()
        return task

    async with asyncio.timeout(PATIENCE_SECONDS):
        of_an_old_semaphore = await begin(Gate.JOB, "run")
        others = [await begin(Gate.VIDEO, "run"), await begin(Gate.JOB, "other run")]
        now = await begin(Gate.JOB, "run")
        await asyncio.wait([of_an_old_semaphore])
        assert isinstance(of_an_old_semaphore.exception(), ApplicationError)
        assert semaphore.watches(Gate.JOB)
        runs.closed.set()
        assert {(await each).closed for each in (*others, now)} == {Closed.ORDERLY}
    assert not any(map(semaphore.watches, Gate))
