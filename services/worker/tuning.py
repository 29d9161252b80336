"""How many tasks a worker takes at once; those of new jobs one by one, for the holder's sake."""

import asyncio
from dataclasses import dataclass

from temporalio.worker import (
    CustomSlotSupplier,
    FixedSizeSlotSupplier,
    SlotMarkUsedContext,
    SlotPermit,
    SlotReleaseContext,
    SlotReserveContext,
    WorkerTuner,
)

# A job awaits little else than its turn; a worker can hold many.
MAX_ACTIVITIES = 200
MAX_LOCAL_ACTIVITIES = 100
# A workflow task of ours takes 10 to 30 ms of this process, and all in hand take their time from
# one another: 100 of them (the SDK's default), in a flood of new jobs, come near their time-out.
MAX_KNOWN, MAX_NEW = 18, 1


def tuner() -> WorkerTuner:
    """A worker's bounds."""
    return WorkerTuner.create_composite(
        workflow_supplier=WorkflowTaskSlots(),
        activity_supplier=FixedSizeSlotSupplier(MAX_ACTIVITIES),
        local_activity_supplier=FixedSizeSlotSupplier(MAX_LOCAL_ACTIVITIES),
        nexus_supplier=FixedSizeSlotSupplier(1),
    )


@dataclass(frozen=True)
class _Permit(SlotPermit):
    slots: asyncio.Semaphore


class WorkflowTaskSlots(CustomSlotSupplier):
    """Slots for the tasks of workflows that this worker knows (sticky ones), and one for others.

    The first task of a job is one of the others, and so is each one that had to leave the cache.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._known = asyncio.Semaphore(MAX_KNOWN)
        self._new = asyncio.Semaphore(MAX_NEW)

    async def reserve_slot(self, ctx: SlotReserveContext) -> SlotPermit:
        """Called on the worker's loop, before a poll."""
        slots = self._known if ctx.is_sticky else self._new
        await slots.acquire()
        return _Permit(slots)

    def try_reserve_slot(self, ctx: SlotReserveContext) -> SlotPermit | None:
        """No workflow is started by its own worker."""
        return None

    def mark_slot_used(self, ctx: SlotMarkUsedContext) -> None:
        """Nothing depends on it."""

    def release_slot(self, ctx: SlotReleaseContext) -> None:
        """Called from a thread of the SDK's core."""
        if isinstance(ctx.permit, _Permit):
            self._loop.call_soon_threadsafe(ctx.permit.slots.release)
