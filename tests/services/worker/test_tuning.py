"""Tasks of new jobs never take the slots of those that a worker knows."""

import asyncio
from typing import Any, cast

import pytest
from temporalio.worker import SlotPermit, SlotReleaseContext

from services.worker.tuning import MAX_KNOWN, MAX_NEW, WorkflowTaskSlots


class Asked:
    """What the SDK's core asks with."""

    def __init__(self, *, is_sticky: bool) -> None:
        self.is_sticky = is_sticky


def asked(slots: WorkflowTaskSlots, *, is_sticky: bool) -> "asyncio.Task[SlotPermit]":
    return asyncio.create_task(slots.reserve_slot(cast(Any, Asked(is_sticky=is_sticky))))


async def given_back(slots: WorkflowTaskSlots, permit: SlotPermit) -> None:
    """From another thread, as the SDK's core does it."""
    await asyncio.to_thread(slots.release_slot, SlotReleaseContext(slot_info=None, permit=permit))


async def test_new_jobs_wait_for_one_another_and_known_ones_for_none_of_them() -> None:
    slots = WorkflowTaskSlots()
    first, *_ = [await asked(slots, is_sticky=False) for _ in range(MAX_NEW)]
    late = asked(slots, is_sticky=False)
    for _ in range(MAX_KNOWN):
        await asked(slots, is_sticky=True)
    assert not late.done()
    await given_back(slots, first)
    await late


@pytest.mark.parametrize("is_sticky", [True, False])
async def test_one_that_stops_waiting_takes_nothing(is_sticky: bool) -> None:
    slots = WorkflowTaskSlots()
    permits = [
        await asked(slots, is_sticky=is_sticky) for _ in range(MAX_KNOWN if is_sticky else MAX_NEW)
    ]
    gone = asked(slots, is_sticky=is_sticky)
    await asyncio.sleep(0)
    gone.cancel()
    await asyncio.wait([gone])
    await given_back(slots, permits[0])
    await asked(slots, is_sticky=is_sticky)
