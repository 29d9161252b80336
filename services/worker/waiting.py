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
    WAITING_SECONDS,
)
from services.worker.running import Pulse
from services.worker.vendors.client import VendorClient, VendorStatus
from shared.errors import (
    AttemptTimedOut,
    GenerationFailed,
    GenerationLost,
    NeverDelivered,
    RefusedForNow,
    VendorError,
)

# What a look tells; None: the vendor doesn't know the generation.
News = VendorStatus | VendorError | None
# The vendor doesn't answer, or says that it can't now: no fault of the generation's.
AWAY = (NeverDelivered, RefusedForNow)
# Seconds to wait before the next poll, from the seconds waited so far and the percent reached.
Pace = Callable[[float, int], float]


async def until_ended(
    vendor: VendorClient, accepted: Accepted, *, pulse: Pulse, deadline_seconds: float, pace: Pace
) -> VendorStatus:
    """The status of a generation that succeeded.

    GenerationFailed: the vendor says so; AttemptTimedOut: the deadline, counted from the
    acceptance, has passed; GenerationLost: the vendor doesn't know it any more. While the vendor is
    away altogether it is waited for, and that time doesn't count.
    """
    wait, percent = _Wait(accepted, deadline_seconds), 0
    while True:
        status = await _look(vendor, accepted.vendor_id)
        pulse.postpone(wait.looked(status))
        if isinstance(status, VendorStatus):
            if status.state == "succeeded":
                return status
            if status.state == "failed":
                raise GenerationFailed(status.message or "The vendor reports a failure.")
            percent = status.percent
            await pulse.progress(percent)
        elif isinstance(status, VendorError) and wait.silent > WAITING_SECONDS:
            await pulse.waits(status)
        wait.check(status)
        await asyncio.sleep(wait.pause(pace(wait.seconds, percent)))


class _Wait:
    """How long one generation has been waited for, and what of that counts against it."""

    def __init__(self, accepted: Accepted, deadline_seconds: float) -> None:
        self._began = self._now = self._heard_at = time.monotonic()
        self._allowed = deadline_seconds
        self._deadline = self._began + deadline_seconds - (time.time() - accepted.accepted_at)
        self._missing_since: float | None = None

    @property
    def seconds(self) -> float:
        return self._now - self._began

    @property
    def silent(self) -> float:
        """For how long no look has told anything."""
        return self._now - self._heard_at

    def looked(self, status: News) -> float:
        """Take note of a look; the seconds since the last one, if they don't count."""
        before, self._now = self._now, time.monotonic()
        if not isinstance(status, VendorError):
            self._heard_at = self._now
        if isinstance(status, VendorStatus):
            self._missing_since = None
        elif status is None and self._missing_since is None:
            # Counted from the first such answer: after an outage a vendor may need a moment.
            self._missing_since = self._now
        away = self._now - before if isinstance(status, AWAY) else 0.0
        self._deadline += away
        return away

    def check(self, status: News) -> None:
        """Raise where it makes no sense to wait on."""
        if status is None and self._now - (self._missing_since or 0) > LOST_AFTER_SECONDS:
            raise GenerationLost("The vendor accepted the task and doesn't know it any more.")
        if self._now > self._deadline and not isinstance(status, AWAY):
            raise AttemptTimedOut(f"No result within {self._allowed:g} s.")

    def pause(self, wanted: float) -> float:
        """The seconds until the next look; one falls just behind the deadline."""
        left = self._deadline - self._now
        return min(wanted, left + 0.001) if left >= 0 else wanted


async def _look(vendor: VendorClient, vendor_id: str) -> News:
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
