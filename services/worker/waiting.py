"""Waiting for an accepted generation to end, by polling; ends in one of three ways, never open."""

import asyncio
import time
from collections.abc import Callable

from services.worker.models import Accepted
from services.worker.policies import (
    IMAGE_POLL_MAX_SECONDS,
    IMAGE_POLL_MIN_SECONDS,
    IMAGE_POLL_SHARE,
    LOST_AFTER_SECONDS,
)
from services.worker.running import Pulse
from services.worker.vendors.client import VendorClient, VendorStatus
from shared.errors import AttemptTimedOut, GenerationFailed, GenerationLost, VendorError

# Seconds to wait before the next poll, from the seconds waited so far and the percent reached.
Pace = Callable[[float, int], float]


async def until_ended(
    vendor: VendorClient, accepted: Accepted, *, pulse: Pulse, deadline_seconds: float, pace: Pace
) -> VendorStatus:
    """The status of a generation that succeeded.

    GenerationFailed: the vendor says so; AttemptTimedOut: the deadline, counted from the
    acceptance, has passed; GenerationLost: the vendor doesn't know it any more.
    """
    began = time.monotonic()
    deadline = began + deadline_seconds - (time.time() - accepted.accepted_at)
    missing_since: float | None = None
    percent = 0
    while True:
        status = await _look(vendor, accepted.vendor_id)
        now = time.monotonic()
        if isinstance(status, VendorStatus):
            missing_since = None
            if status.state == "succeeded":
                return status
            if status.state == "failed":
                raise GenerationFailed(status.message or "The vendor reports a failure.")
            percent = status.percent
            await pulse.progress(percent)
        elif status is None:
            # Counted from the first such answer: after an outage a vendor may need a moment.
            missing_since = now if missing_since is None else missing_since
            if now - missing_since > LOST_AFTER_SECONDS:
                raise GenerationLost("The vendor accepted the task and doesn't know it any more.")
        if now > deadline:
            raise AttemptTimedOut(f"No result within {deadline_seconds:g} s.")
        await asyncio.sleep(min(pace(now - began, percent), max(0.0, deadline - now) + 0.001))


async def _look(vendor: VendorClient, vendor_id: str) -> VendorStatus | VendorError | None:
    """One poll; a failed one is no news about the task, so the next one decides."""
    try:
        return await vendor.status(vendor_id)
    except VendorError as error:
        return error


def accepted_now(vendor_id: str) -> Accepted:
    """An acceptance that we learn of at this moment."""
    return Accepted(vendor_id=vendor_id, accepted_at=time.time())


def image_pace(waited: float, percent: int) -> float:
    """Until the percent foretells the end, so that a finished image is not left lying."""
    longest = waited * IMAGE_POLL_SHARE
    foretold = waited * (100 - percent) / percent if percent else longest
    return min(max(min(foretold, longest), IMAGE_POLL_MIN_SECONDS), IMAGE_POLL_MAX_SECONDS)
