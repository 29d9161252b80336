"""A job's side of the slot: it asks once, waits for its permit, and gives it back by closing."""

import asyncio
from collections.abc import Callable
from enum import Enum, auto
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from services.worker.models import REQUEST_SLOT, WITHDRAW_REQUEST, Stored
    from services.worker.policies import LOCAL_RETRY_POLICY, LOCAL_TIMEOUT, REQUEST_RETRY_POLICY
    from services.worker.stages import StageFailed
    from shared.errors import QueueFull, StoodDown
    from shared.slots import DISARMED_SIGNAL, JOB_GATE, Permit, SlotRequest, keeper_id

Image = workflow.ActivityHandle[Stored]
# What an armed run begins with: its image, or no more than the wait for its turn.
Begun = workflow.ActivityHandle[Any]


class Seat:
    """The permit of this run, or the wait for it."""

    def __init__(self, priority: int) -> None:
        info = workflow.info()
        self.permit: Permit | None = None
        self.begun = False
        self._room: int | None = None
        self._disarm = (-1, -1)
        self._seen = (-1, -1)
        self.request = SlotRequest(
            job_id=info.workflow_id,
            run_id=info.run_id,
            priority=priority,
            requested_at=info.workflow_start_time,
        )

    def offer(self, permit: Permit) -> None:
        """A permit from the keeper; one that was seen before, or an older one, changes nothing."""
        if permit.order > self._seen:
            # What was begun under another token, before a reset, is not begun under this one.
            self.begun = self.begun and permit.token == self._seen[0]
            self._seen = permit.order
            self.permit = permit

    def disarm(self, permit: Permit) -> None:
        """The keeper wants this run not to begin by that permit."""
        self._disarm = max(self._disarm, permit.order)

    def refuse(self, room: int) -> None:
        """As many wait as the keeper has room for."""
        self._room = room

    def is_ours(self) -> bool:
        """Whether the slot is this run's, so that its generations may run."""
        return self.begun or (self.permit is not None and self.permit.after is None)

    async def take(
        self, start_armed: Callable[[Permit], Begun], *, void: Permit | None = None
    ) -> Begun | None:
        """Return when the slot is ours; what was begun, where that was by an armed start.

        A permit may be here before we ask: a keeper that rebuilds knows us by our history.
        After a reset that history shows the old run's permit; the activities refuse it as `void`,
        and the run comes here again, under its own id. StageFailed where there is no room for it.
        """
        if void is not None and self.permit == void:
            self.permit, self.begun = None, False
        await workflow.execute_local_activity(
            REQUEST_SLOT,
            self.request,
            start_to_close_timeout=LOCAL_TIMEOUT,
            retry_policy=REQUEST_RETRY_POLICY,
        )
        while True:
            await workflow.wait_condition(lambda: self.permit is not None or self._room is not None)
            if self.permit is None:
                raise StageFailed(QueueFull.code, f"{self._room} jobs wait already.")
            if self.is_ours():
                return None
            image = await self._armed(start_armed)
            if image is not None or self.is_ours():
                return image

    async def _armed(self, start: Callable[[Permit], Begun]) -> Begun | None:
        """Wait armed; what has begun, None when this run has stood down or begins anew."""
        permit, heeds = self.permit, True
        while permit is not None:
            image = start(permit)
            await self._until_known(image, permit, heeds=heeds)
            ended = image.done()
            end = End.OPEN if self.begun else await _stop(image)
            if self.begun or end is End.GOOD:
                self.begun = True
                return image if end in (End.OPEN, End.GOOD) else None
            if end is End.STOPPED or self._is_moved(permit):
                await self._stand_down(permit)
                return None
            if ended:
                # A refusal for good; it is told by whoever awaits the image.
                self.begun = True
                return image
            # A failure met our stop, and what it had done by then is not known. The same again
            # finds out: it begins only when the run before has closed, whatever the keeper asks.
            heeds = False
        return None

    async def _until_known(self, image: Begun, permit: Permit, *, heeds: bool) -> None:
        """Wait for a beginning, an end, or a permit that is void; a cancellation stops it all."""
        try:
            await workflow.wait_condition(
                lambda: (
                    image.done()
                    or self.begun
                    or self._is_moved(permit)
                    or (heeds and self._is_disarmed(permit))
                )
            )
        except asyncio.CancelledError:
            # Where it may have begun the vendor must be cleared, as for one that has.
            self.begun = await _stop(image) is not End.STOPPED or self.begun
            raise

    def _is_moved(self, permit: Permit) -> bool:
        """Whether a newer permit says otherwise."""
        return self.permit is not None and self.permit.after != permit.after

    def _is_disarmed(self, permit: Permit) -> bool:
        """Whether the keeper has taken the permit back."""
        return self._disarm >= permit.order

    async def _stand_down(self, permit: Permit) -> None:
        if self.permit == permit:
            self.permit = None
        if self._is_disarmed(permit):
            keeper = workflow.get_external_workflow_handle(keeper_id(JOB_GATE))
            try:
                await keeper.signal(DISARMED_SIGNAL, permit)
            except ApplicationError:
                workflow.logger.warning("the keeper is gone; its successor will ask anew")

    async def withdraw(self) -> None:
        """Leave the queue; a keeper that can't be told finds out at the grant."""
        try:
            await workflow.execute_local_activity(
                WITHDRAW_REQUEST,
                self.request,
                start_to_close_timeout=LOCAL_TIMEOUT,
                retry_policy=LOCAL_RETRY_POLICY,
            )
        except ActivityError:
            workflow.logger.warning("the keeper could not be told that we don't wait any more")


class End(Enum):
    """What has become of an armed image."""

    OPEN = auto()
    GOOD = auto()
    # It was stopped in time, or stood down by itself: nothing was asked of the vendor.
    STOPPED = auto()
    FAILED = auto()


async def _stop(image: Begun) -> End:
    """Stop an armed image and wait until it does nothing more; how it has ended."""
    image.cancel()
    try:
        await image
    except ActivityError as error:
        return End.STOPPED if is_cancelled_exception(error) or _stood_down(error) else End.FAILED
    return End.GOOD


def _stood_down(error: ActivityError) -> bool:
    """Whether it has ended because the run before it was closed from outside."""
    cause = error.cause
    return isinstance(cause, ApplicationError) and cause.type == StoodDown.code
