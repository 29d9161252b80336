"""From an order to an accepted generation: at most one submit, and none is abandoned."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog
from temporalio.client import Client

from shared.errors import Fenced, GenvideoError, NeverTold, OutcomeUnknown
from shared.pipeline.heartbeat import Pulse, outlast
from shared.pipeline.messages import Accepted, Order
from shared.pipeline.policies import LOOK_SECONDS
from shared.pipeline.vendor import Vendor
from shared.temporal.activities import is_current_try
from shared.temporal.client import is_away

log = structlog.get_logger(__name__)

T = TypeVar("T")

# Submits a generation; returns the vendor's id.
Send = Callable[[], Awaitable[str]]
# The server begins another try no sooner than the pace's `work` after this try's last heartbeat,
# and that is longer; a drain waits longer than this before it asks. An older answer may be stale,
# because the process was frozen, or the network cut.
FRESH_SECONDS = 1.0
# What a preparation of the submit may use up of that.
PREPARED_SECONDS = 0.1
PAUSE_SECONDS = 0.2


async def begin(
    order: Order,
    pulse: Pulse,
    *,
    client: Client,
    vendor: Vendor,
    accept_seconds: float,
    send: Send,
    write: Callable[[], Awaitable[None]],
) -> Accepted:
    """Submit a generation, or adopt the one that the vendor has under our id already.

    `write` writes this attempt into the job's record before the submit. The vendor is asked before
    every submit, also the first one, because the server's memory may be older than the vendor's
    (after a restore). After the submit a cancellation waits for its answer, because the vendor may
    be accepting it. Raises NeverTold if an earlier try may have submitted it and the vendor can't
    be asked, and Fenced if another try has taken over.
    """
    pulse.in_doubt |= order.in_doubt
    if pulse.in_doubt and not vendor.traits.looked_up:
        raise NeverTold(
            "It may be at the vendor, which can't be asked by our id; it is not sent again."
        )
    cancelled, current_at = False, -math.inf
    if pulse.in_doubt:
        await write()
        vendor_id = await _look_for(vendor, order.external_id, accept_seconds)
    else:
        # All three must be done before the submit, in any order.
        looking = _look_for(vendor, order.external_id, 0.0)
        vendor_id, current_at, _ = await asyncio.gather(looking, check_current(client), write())
    if vendor_id is None:
        if time.monotonic() - current_at >= FRESH_SECONDS:
            await check_current(client)
        pulse.in_doubt = True
        task = asyncio.ensure_future(send())
        cancelled = await outlast(task)
        try:
            vendor_id = task.result()
        except GenvideoError as error:
            pulse.in_doubt = isinstance(error, OutcomeUnknown)
            raise
    accepted = Accepted(vendor_id=vendor_id, accepted_at=pulse.now())
    pulse.accept(accepted)
    log.info("accepted", external_id=order.external_id, vendor_id=vendor_id)
    if cancelled:
        raise asyncio.CancelledError
    return accepted


async def in_time(client: Client, prepared: Awaitable[T]) -> T:
    """Return what a submit needs; repeat the fence if that took longer than PREPARED_SECONDS."""
    began = time.monotonic()
    result = await prepared
    if time.monotonic() - began >= PREPARED_SECONDS:
        await check_current(client)
    return result


async def check_current(client: Client) -> float:
    """Raise Fenced unless the server says that the run is open, and this try the current one.

    Return the monotonic time of the question; its answer is good for FRESH_SECONDS. The server's
    state is the fence: a closed run, a replaced try and a run that was reset cannot submit.
    """
    while True:
        asked_at = time.monotonic()
        try:
            is_current = await is_current_try(client)
        except Exception as error:
            if (task := asyncio.current_task()) and task.cancelling():
                # The SDK reports this as a time-out, which would be retried for ever.
                raise asyncio.CancelledError from None
            if not is_away(error):
                raise
            log.warning("Temporal does not say whether this try is current", reason=str(error))
            await asyncio.sleep(PAUSE_SECONDS)
            continue
        if not is_current:
            raise Fenced("The run has closed, or another try of this activity has begun.")
        if time.monotonic() - asked_at < FRESH_SECONDS:
            return asked_at
        log.info("answer is stale; asking Temporal again")


async def _look_for(vendor: Vendor, external_id: str, seconds: float) -> str | None:
    """Return the vendor's id for our id; None if it has not appeared in this time, or can't be
    asked."""
    if not vendor.traits.looked_up:
        return None
    until = time.monotonic() + seconds
    while True:
        known = await vendor.status(external_id)
        if known is not None:
            return known.vendor_id
        if time.monotonic() >= until:
            return None
        await asyncio.sleep(LOOK_SECONDS)
