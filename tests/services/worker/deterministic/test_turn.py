"""A run's side of a gate: what it is told, what it holds, and what becomes of it."""

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
from services.worker.deterministic.turn import Turn
from shared.slot.messages import Gate, Permit, SlotRequest

REQUEST = SlotRequest(job_id="job", run_id="run", requested_at=datetime(2026, 1, 1, tzinfo=UTC))


class Waits:
    """Stands for the cancellation: notes when something is waited for, and lets it happen."""

    def __init__(self) -> None:
        self.reason: Reason | None = None
        self.changed = asyncio.Event()
        self.begun = asyncio.Event()
        self.count = 0

    async def until(self, reached: Callable[[], bool], within: timedelta | None = None) -> bool:
        self.count += 1
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
def turn(waits: Waits) -> Turn:
    return Turn(Gate.JOB, REQUEST, cast(Cancellation, waits))


def permit(token: int) -> Permit:
    return Permit(job_id="job", run_id="run", token=token)


async def comes(turn: Turn, waits: Waits, happens: Callable[[], object]) -> None:
    """Wait for the turn; once that waits, let something happen."""
    waiting = asyncio.create_task(turn.come())
    await waits.begun.wait()
    happens()
    waits.changed.set()
    await waiting


async def test_it_comes_when_it_is_told(turn: Turn, waits: Waits) -> None:
    await comes(turn, waits, turn.tell)
    assert turn.permit is None


async def test_what_was_told_counts_once(turn: Turn, waits: Waits) -> None:
    turn.tell()
    await turn.come()
    assert waits.count == 0
    await comes(turn, waits, turn.tell)
    assert waits.count == 1


async def test_what_is_told_while_it_asks_is_not_lost(turn: Turn, waits: Waits) -> None:
    """Overtaken and next again, before its activity has failed with the first word."""
    turn.tell()
    await turn.come()
    turn.tell()
    turn.lose()
    await turn.come()
    assert waits.count == 0


async def test_who_holds_need_not_be_next(turn: Turn, waits: Waits) -> None:
    assert turn.offer(permit(1))
    await turn.come()
    assert waits.count == 0


async def test_a_permit_comes_as_well(turn: Turn, waits: Waits) -> None:
    await comes(turn, waits, lambda: turn.offer(permit(1)))
    assert turn.permit == permit(1)


async def test_who_finds_no_room_fails(turn: Turn, waits: Waits) -> None:
    with pytest.raises(StageFailed) as failure:
        await comes(turn, waits, lambda: turn.refuse(3))
    assert failure.value.code == "queue_full"


async def test_the_end_of_the_job_ends_the_wait(turn: Turn, waits: Waits) -> None:
    def end() -> None:
        waits.reason = Reason.CANCELLED

    with pytest.raises(Interrupted):
        await comes(turn, waits, end)


async def test_a_permit_that_was_seen_before_changes_nothing(turn: Turn) -> None:
    """Not even where it was lost since: it is told again by a semaphore that rebuilds, say."""
    assert turn.offer(permit(2))
    assert not turn.offer(permit(2))
    assert not turn.offer(permit(1))
    assert turn.permit == permit(2)
    turn.lose()
    assert not turn.offer(permit(2))
    assert turn.permit is None
    assert turn.offer(permit(3))
