"""What the semaphore shows, as metrics; it is asked when somebody reads them, and not else."""

import asyncio
from datetime import UTC, datetime

from prometheus_client import Gauge

from services.api.temporal.slots import Slots
from shared.errors import TemporalUnavailable
from shared.semaphore.messages import HolderView

# Whoever reads metrics is not kept waiting for a semaphore that is slow.
PATIENCE_SECONDS = 2.0

SEEN = Gauge("genvideo_api_slot_seen", "1 where the semaphore has answered for these figures")
LIMIT = Gauge("genvideo_api_slot_limit", "Jobs that may hold the slot at once")
PAUSED = Gauge("genvideo_api_slot_paused", "1 while nobody is let in")
HOLDERS = Gauge("genvideo_api_slot_holders", "Jobs that hold the slot", ["draining"])
WAITING = Gauge("genvideo_api_slot_waiting", "Jobs that wait for the slot")
HELD = Gauge("genvideo_api_slot_held_seconds", "For how long the oldest holder has had the slot")
TOKEN = Gauge("genvideo_api_slot_token", "The highest token of a holder; it grows with each grant")


async def refresh(slots: Slots) -> None:
    """Set all of them; where the semaphore does not answer they stay, and `SEEN` is 0."""
    try:
        view = await asyncio.wait_for(slots.view(), PATIENCE_SECONDS)
    except (TemporalUnavailable, TimeoutError):
        SEEN.set(0)
        return
    SEEN.set(1)
    LIMIT.set(view.limit)
    PAUSED.set(view.paused)
    WAITING.set(view.waiting_count)
    _holders(view.holders, datetime.now(UTC))


def _holders(holders: tuple[HolderView, ...], now: datetime) -> None:
    draining = sum(holder.draining for holder in holders)
    HOLDERS.labels("no").set(len(holders) - draining)
    HOLDERS.labels("yes").set(draining)
    HELD.set(max(((now - holder.since).total_seconds() for holder in holders), default=0.0))
    if holders:
        TOKEN.set(max(holder.token for holder in holders))
