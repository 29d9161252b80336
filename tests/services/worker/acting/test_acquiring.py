"""Asking for the permit: until there is a fresh answer, and never past a cancellation."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from temporalio.client import (
    Client,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import ActivityEnvironment

from services.worker.acting import acquiring
from services.worker.acting.acquiring import acquire, acquire_all
from services.worker.models import Order
from shared.errors import GateNotYet, NotYet, OutcomeUnknown
from shared.jobs.messages import JobInput
from shared.jobs.states import Step
from shared.slot.messages import (
    FENCED,
    JOB_GATE,
    Acquire,
    Answer,
    Gate,
    Permit,
    SlotRequest,
    gate_of,
)

PERMIT = Permit(job_id="job", run_id="run", token=7)
ORDER = Order(
    request=SlotRequest(job_id="job", run_id="run", requested_at=datetime(2026, 1, 1, tzinfo=UTC)),
    step=Step.VIDEO,
    attempt=2,
    job=JobInput(prompt="p", style=""),
    deadline_seconds=1,
    give_up_seconds=1,
    holds_seconds=99,
)
Said = Answer | Exception


def answered(*, permit: Permit | None = PERMIT, again: bool = False, age: float = 0) -> Answer:
    at = datetime.now(UTC) - timedelta(seconds=age)
    return Answer(at=at, permit=permit, again=again)


class Semaphores:
    """Stands for the client and its handles; says what it is given, one a question."""

    def __init__(self, said: Sequence[Said | Callable[[], Said]]) -> None:
        self.said = list(said)
        self.asked: list[tuple[Gate, Acquire]] = []
        self.started = 0
        self.reached = asyncio.Event()

    def get_workflow_handle(self, workflow_id: str) -> "Semaphore":
        return Semaphore(self, gate_of(workflow_id))

    async def start_workflow(self, *_: Any, **__: Any) -> None:
        self.started += 1


class Semaphore:
    def __init__(self, all_: Semaphores, gate: Gate) -> None:
        self._all, self._gate = all_, gate

    async def execute_update(self, _name: str, ask: Acquire, **_: Any) -> Answer:
        self._all.asked.append((self._gate, ask))
        self._all.reached.set()
        if not self._all.said:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError as error:
                # As the SDK does.
                raise WorkflowUpdateRPCTimeoutOrCancelledError from error
        said = self._all.said.pop(0)
        said = said() if callable(said) else said
        if isinstance(said, Exception):
            raise said
        return said


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acquiring, "PAUSE_SECONDS", 0)


async def permit_by(
    semaphores: Semaphores, *, skew: float = 0, order: Order = ORDER, attempt: int = 3
) -> Permit:
    environment = ActivityEnvironment()
    environment.info = replace(environment.info, attempt=attempt)

    async def ask() -> Permit:
        return (await acquire_all(cast(Client, semaphores), order, skew=skew)).permit

    return await environment.run(ask)


async def test_it_asks_as_the_try_that_it_is() -> None:
    semaphores = Semaphores([answered()])
    assert await permit_by(semaphores) == PERMIT
    [(gate, asked)] = semaphores.asked
    assert gate is JOB_GATE
    assert asked == Acquire(request=ORDER.request, fence=(1, 2, 3), holds_seconds=99)


BEHIND_A_GATE = ORDER.model_copy(update={"gates": (Gate.VIDEO,)})


async def test_the_slot_is_asked_for_before_its_stages_gate_and_behind_it() -> None:
    semaphores = Semaphores([answered(), answered(), answered()])
    await permit_by(semaphores, order=BEHIND_A_GATE)
    assert [gate for gate, _ in semaphores.asked] == [JOB_GATE, Gate.VIDEO, JOB_GATE]


@pytest.mark.parametrize(
    ("order", "yes", "kind"),
    [(ORDER, 0, NotYet), (BEHIND_A_GATE, 0, NotYet), (BEHIND_A_GATE, 1, GateNotYet)],
)
async def test_whose_turn_it_is_not_is_sent_away(
    order: Order, yes: int, kind: type[Exception]
) -> None:
    """From the slot before a gate is asked for, so that no gate is held in vain."""
    semaphores = Semaphores([*[answered()] * yes, answered(permit=None)])
    with pytest.raises(kind):
        await permit_by(semaphores, order=order)
    assert len(semaphores.asked) == yes + 1


AWAY: list[Callable[[], Said]] = [
    lambda: RPCError("away", RPCStatusCode.UNAVAILABLE, b""),
    lambda: RPCError("no semaphore", RPCStatusCode.NOT_FOUND, b""),
    lambda: RPCError("its task has failed", RPCStatusCode.FAILED_PRECONDITION, b""),
    WorkflowUpdateRPCTimeoutOrCancelledError,
    lambda: WorkflowUpdateFailedError(ApplicationError("ended", type="reset")),
]


@pytest.mark.parametrize("away", AWAY)
async def test_without_an_answer_it_asks_again_and_has_a_semaphore_started(
    away: Callable[[], Said],
) -> None:
    semaphores = Semaphores([away, away, answered()])
    assert await permit_by(semaphores) == PERMIT
    assert (len(semaphores.asked), semaphores.started) == (3, 2)


async def test_a_semaphore_that_turns_over_is_asked_at_once() -> None:
    semaphores = Semaphores([answered(permit=None, again=True), answered()])
    assert await permit_by(semaphores) == PERMIT
    assert semaphores.started == 0


async def test_a_later_try_leaves_this_one_in_no_doubt_that_it_is_old() -> None:
    fenced = WorkflowUpdateFailedError(ApplicationError("later", type=FENCED))
    with pytest.raises(OutcomeUnknown):
        await permit_by(Semaphores([fenced]))


async def test_what_nobody_foresaw_is_no_reason_to_go_on() -> None:
    refused = RPCError("no", RPCStatusCode.PERMISSION_DENIED, b"")
    with pytest.raises(RPCError):
        await permit_by(Semaphores([refused]))


class Sleeper:
    """A clock by which each question takes for so long."""

    def __init__(self, *seconds: float) -> None:
        self._steps = [0.0, *seconds]
        self._now = 0.0
        self._calls = 0

    def monotonic(self) -> float:
        # Asked before and after each question.
        self._now += self._steps[(self._calls + 1) // 2] if self._calls % 2 else 0
        self._calls += 1
        return self._now


@pytest.mark.parametrize(
    ("age", "skew", "asked"),
    [
        (0.2, 0.0, 1),
        (5.0, 0.0, 2),
        (0.2, 3.0, 2),
        (0.2, -3.0, 2),
        (-2.0, 0.0, 2),
    ],
    ids=["young", "slept over", "our clock is ahead", "our clock is behind", "from the future"],
)
async def test_an_answer_that_took_long_and_is_not_young_for_sure_is_asked_for_once_more(
    monkeypatch: pytest.MonkeyPatch, age: float, skew: float, asked: int
) -> None:
    """Between it and us a machine may have slept, and another try may have begun."""
    monkeypatch.setattr(acquiring, "time", Sleeper(60.0, 0.1))
    semaphores = Semaphores([lambda: answered(age=age), lambda: answered(age=age)])
    assert await permit_by(semaphores, skew=skew) == PERMIT
    assert len(semaphores.asked) == asked


async def test_a_wait_that_is_cancelled_ends() -> None:
    semaphores = Semaphores([])
    environment = ActivityEnvironment()

    async def ask() -> Permit:
        return (await acquire(cast(Client, semaphores), ORDER, JOB_GATE, skew=0)).permit

    asking = asyncio.create_task(environment.run(ask))
    await semaphores.reached.wait()
    environment.cancel()
    async with asyncio.timeout(60):
        with pytest.raises(asyncio.CancelledError):
            await asking
    assert len(semaphores.asked) == 1
