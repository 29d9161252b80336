"""A run's side of a gate: the permit that it is given, and the queue that is full."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest

from services.worker.deterministic.cancellation import (
    Cancellation,
    Interrupted,
    Reason,
    StageFailed,
)
from services.worker.deterministic.turn import SlotTurn
from shared.semaphore.messages import Permit, SlotRequest

REQUEST = SlotRequest(job_id="job", run_id="run", requested_at=datetime(2026, 1, 1, tzinfo=UTC))


class Waits:
    """Stands for the cancellation: notes when something is waited for, and lets it happen."""

    def __init__(self) -> None:
        self.reason: Reason | None = None
        self.changed = asyncio.Event()
        self.begun = asyncio.Event()

    async def until(self, reached: Callable[[], bool], within: timedelta | None = None) -> bool:
        self.begun.set()
        while not reached():
            if self.reason is not None:
                raise Interrupted
            self.changed.clear()
            await self.changed.wait()
        return True


@pytest.fixture
def waits() -> Waits:
    return Waits()


@pytest.fixture
def turn(waits: Waits) -> SlotTurn:
    return SlotTurn(REQUEST, cast(Cancellation, waits))


def permit(token: int, run_id: str = "run") -> Permit:
    return Permit(job_id="job", run_id=run_id, token=token)


async def come(turn: SlotTurn, waits: Waits, happens: Callable[[], object]) -> Permit:
    """Wait for the turn; once that waits, let something happen."""
    waiting = asyncio.create_task(turn.come())
    await waits.begun.wait()
    happens()
    waits.changed.set()
    return await waiting


async def test_it_comes_with_its_permit(turn: SlotTurn, waits: Waits) -> None:
    assert await come(turn, waits, lambda: turn.grant(permit(1))) == permit(1)


async def test_a_permit_that_is_told_again_changes_nothing(turn: SlotTurn) -> None:
    turn.grant(permit(1))
    turn.grant(permit(2))
    assert turn.permit == permit(1)


async def test_another_runs_permit_is_no_permit(turn: SlotTurn) -> None:
    """The server tells a run that was reset what the run before it was told, too."""
    turn.grant(permit(1, "another"))
    assert turn.permit is None


async def test_a_run_that_finds_no_room_fails(turn: SlotTurn, waits: Waits) -> None:
    with pytest.raises(StageFailed) as failure:
        await come(turn, waits, lambda: turn.refuse(3))
    assert (failure.value.code, failure.value.in_doubt) == ("queue_full", False)


async def test_the_end_of_the_job_ends_the_wait(turn: SlotTurn, waits: Waits) -> None:
    def end() -> None:
        waits.reason = Reason.CANCELLED

    with pytest.raises(Interrupted):
        await come(turn, waits, end)
