"""From an order to an accepted generation: one submit at the most, and none that is let go."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog
from temporalio.client import Client

from services.worker.acting.acquiring import acquire_all
from services.worker.acting.heartbeat import Pulse, outlast
from services.worker.acting.polling import accepted_now
from services.worker.models import Accepted, Order
from services.worker.policies import LOOK_SECONDS
from services.worker.vendors.vendor import Vendor
from shared.errors import GenvideoError, NeverTold, OutcomeUnknown
from shared.slot.messages import Permit

log = structlog.get_logger(__name__)

# Submits a generation under a permit; the vendor's id of it.
Send = Callable[[Permit], Awaitable[str]]


async def begin(
    order: Order,
    pulse: Pulse,
    *,
    client: Client,
    vendor: Vendor,
    accept_seconds: float,
    send: Send,
) -> Accepted:
    """Submit a generation, or adopt the one that an earlier try has submitted.

    A cancellation is heeded while the turn is awaited. From the submit on it is not: the vendor may
    be accepting it, so that its answer is awaited first. NeverTold where an earlier try may have
    submitted it, and that can't be found out.
    """
    # What a run before a reset has left, the first try of this one has found out.
    pulse.in_doubt = pulse.in_doubt or (order.repeated and not pulse.follows)
    permit, is_first = await acquire_all(client, order, skew=pulse.skew)
    cancelled, vendor_id = False, None
    if is_first and not order.repeated:
        # Earlier tries waited for their turn, and no more.
        pulse.in_doubt = False
    elif not vendor.traits.looked_up:
        if pulse.in_doubt:
            raise NeverTold(
                "It may be at the vendor, which can't be asked by our id; it is not sent again."
            )
    else:
        seconds = accept_seconds if pulse.in_doubt else 0.0
        vendor_id = await _look_for(vendor, order.external_id, seconds)
        if vendor_id is None:
            # Looking takes its time, and a later try may have begun.
            permit, _ = await acquire_all(client, order, skew=pulse.skew)
    if vendor_id is None:
        pulse.in_doubt = True
        task = asyncio.ensure_future(send(permit))
        cancelled = await outlast(task)
        try:
            vendor_id = task.result()
        except GenvideoError as error:
            pulse.in_doubt = isinstance(error, OutcomeUnknown)
            raise
    accepted = accepted_now(vendor_id, permit)
    pulse.accept(accepted)
    log.info("accepted", external_id=order.external_id, vendor_id=vendor_id)
    if cancelled:
        raise asyncio.CancelledError
    return accepted


async def _look_for(vendor: Vendor, external_id: str, seconds: float) -> str | None:
    """The vendor's id of ours; None when it has not turned up for so long."""
    until = time.monotonic() + seconds
    while True:
        known = await vendor.status(external_id)
        if known is not None:
            return known.vendor_id
        if time.monotonic() >= until:
            return None
        await asyncio.sleep(LOOK_SECONDS)
