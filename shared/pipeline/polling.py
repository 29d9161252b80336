"""Waiting for an accepted generation to end: only the vendor's word, or hours, end the wait."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from shared.errors import (
    AttemptTimedOut,
    GenerationFailed,
    GenerationLost,
    GivenUp,
    OutcomeUnknown,
    RefusedForGood,
    VendorError,
)
from shared.pipeline.heartbeat import Pulse
from shared.pipeline.messages import Accepted, StageLimits
from shared.pipeline.policies import (
    LATE_PACE,
    POLL_MAX_SECONDS,
    POLL_MIN_SECONDS,
    POLL_SHARE,
    STILL_SHARE,
    WAITING_SECONDS,
)
from shared.pipeline.vendor import ANOTHER, Vendor, VendorStatus

# What a look tells; None: the vendor doesn't know the generation.
News = VendorStatus | VendorError | None
# Seconds to wait before the next poll, from the seconds waited so far and the percent reached.
Pace = Callable[[float, int], float]
# Asks the vendor to stop a generation that is past its deadline.
Stop = Callable[[str], Awaitable[None]]


class Ended(NamedTuple):
    """The vendor's id of what has ended, where the result is, and what the vendor says that it
    charged, in its own units."""

    vendor_id: str
    url: str
    units: str | None


def asked_by(vendor: Vendor, ours: str, vendor_id: str | None) -> str | None:
    """By which id a generation is asked for: ours where the vendor finds it, because an answer to a
    submit may have named another one's; None where there is no way to ask."""
    return ours if vendor.traits.looked_up else vendor_id


async def end_of(vendor: Vendor, asked: str, *, known: str | None) -> Ended | None:
    """The end of a generation that has succeeded by now; None where there is no result to fetch.

    `known`: the vendor's id of it, where the answer must name that one.
    """
    status = await vendor.status(asked)
    if status is None or status.state != "succeeded":
        return None
    if known is not None and status.vendor_id != known:
        return None
    url = await vendor.address(status)
    return None if url is None else Ended(status.vendor_id, url, status.units)


async def until_ended(
    vendor: Vendor,
    ours: str,
    accepted: Accepted,
    *,
    pulse: Pulse,
    limits: StageLimits,
    pace: Pace,
    stop: Stop | None = None,
) -> Ended:
    """A generation that succeeded, also a late one, as soon as its result can be fetched.

    GenerationFailed: the vendor says so, or that it succeeded and never where; RefusedForGood: it
    failed as every other one would; AttemptTimedOut: it says so after we had it stopped;
    GenerationLost: it doesn't know it any more; GivenUp: no end in all the time that there is.
    While the vendor is away it is waited for, and queueing there is no work. Past the deadline it
    is stopped as soon as its percent stands still. An answer that names another generation is
    believed when it comes twice in a row: then the answer to the submit was the wrong one.
    """
    wait, percent, other = _Wait(accepted, limits, now=pulse.now()), 0, ""
    stopped = False
    asked = asked_by(vendor, ours, accepted.vendor_id) or accepted.vendor_id
    while True:
        news = await _look(vendor, asked)
        if isinstance(news, VendorStatus) and news.vendor_id not in (accepted.vendor_id, other):
            other, news = news.vendor_id, OutcomeUnknown(ANOTHER)
        elif isinstance(news, VendorStatus) and news.vendor_id == other:
            accepted = (pulse.accepted or accepted).model_copy(update={"vendor_id": other})
            pulse.accept(accepted)
        pulse.worked(wait.looked(news))
        if isinstance(news, VendorStatus):
            if news.state == "succeeded" and (url := await vendor.address(news)):
                return Ended(news.vendor_id, url, news.units)
            if news.state == "failed":
                raise _failure(news, limits, stopped=stopped)
            percent = news.percent
            await pulse.progress(percent, position=news.position)
        elif isinstance(news, VendorError) and wait.silent > WAITING_SECONDS:
            await pulse.waits(news)
        wait.check()
        seconds = pace(wait.seconds, percent)
        if wait.is_late and not wait.is_over:
            await pulse.is_late(limits.deadline)
            if stop is not None and wait.is_still:
                stopped = True
                await stop(accepted.vendor_id)
            seconds *= LATE_PACE
        await asyncio.sleep(wait.pause(seconds))


class _Wait:
    """How long one generation has been waited for, and what of that counts against it."""

    def __init__(self, accepted: Accepted, limits: StageLimits, *, now: float) -> None:
        self._limits = limits
        self._began = self._now = self._heard_at = time.monotonic()
        self._accepted = self._began - (now - accepted.accepted_at)
        self._worked = accepted.worked_seconds
        self._percent = 0
        # What an earlier try saw of its progress is not known here.
        self._rose_at = accepted.worked_seconds
        self._news: News = None
        self._missing_since: float | None = None
        self._succeeded_at: float | None = None

    @property
    def seconds(self) -> float:
        return self._now - self._began

    @property
    def silent(self) -> float:
        """For how long no look has told anything."""
        return self._now - self._heard_at

    @property
    def is_late(self) -> bool:
        """Whether the vendor has worked on it for longer than the deadline."""
        return self._worked > self._limits.deadline

    @property
    def is_still(self) -> bool:
        """Whether the percent has not risen during the vendor's last work."""
        return self._worked - self._rose_at > STILL_SHARE * self._limits.deadline

    @property
    def is_over(self) -> bool:
        """Whether it has succeeded, though its address is not known."""
        return self._succeeded_at is not None

    def looked(self, news: News) -> float:
        """Take note of a look; the seconds of work since the last one."""
        before, self._now, last, self._news = self._now, time.monotonic(), self._news, news
        if not isinstance(news, VendorError):
            self._heard_at = self._now
            # Counted from the first such answer: after an outage a vendor may need a moment.
            self._missing_since = None if news else self._missing_since or self._now
        if isinstance(news, VendorStatus) and news.state == "succeeded":
            self._succeeded_at = self._succeeded_at or self._now
        working = _works(news) and (last is None or _works(last))
        self._worked += self._now - before if working else 0.0
        if isinstance(news, VendorStatus) and news.percent > self._percent:
            self._percent, self._rose_at = news.percent, self._worked
        return self._now - before if working else 0.0

    def check(self) -> None:
        """Raise where it makes no sense to wait on."""
        limits = self._limits
        if self._news is None and self._longer(limits.lost, self._missing_since):
            raise GenerationLost("The vendor accepted the task and doesn't know it any more.")
        if self._longer(limits.address, self._succeeded_at):
            raise GenerationFailed("The vendor reports success and not where the result is.")
        if self._longer(limits.give_up, self._accepted):
            raise GivenUp(f"No result within {limits.give_up:g} s.")

    def _longer(self, seconds: float, since: float | None) -> bool:
        return since is not None and self._now - since > seconds

    def pause(self, wanted: float) -> float:
        """The seconds until the next look; one falls just behind the deadline."""
        left = self._limits.deadline - self._worked
        return min(wanted, left + 0.001) if left >= 0 else wanted


def _failure(news: VendorStatus, limits: StageLimits, *, stopped: bool) -> VendorError:
    message = news.message or "The vendor reports a failure."
    if stopped:
        limit = f"{limits.deadline:g} s ({limits.setting})"
        return AttemptTimedOut(
            f"We stopped it: it had worked for more than {limit} and made no progress: {message}"
        )
    return RefusedForGood(message) if news.final else GenerationFailed(message)


def _works(news: News) -> bool:
    """Whether the vendor works on it, as far as a look tells."""
    return isinstance(news, VendorStatus) and news.state == "running"


async def _look(vendor: Vendor, vendor_id: str) -> News:
    """One poll; a failed one is no news about the task, so the next one decides."""
    try:
        return await vendor.status(vendor_id)
    except VendorError as error:
        # The frames of it, and of what it comes from, would keep the answer.
        error.__context__ = None
        return error.with_traceback(None)


def share_pace(waited: float, percent: int) -> float:
    """Until the percent foretells the end, so that a finished result is not left lying."""
    longest = waited * POLL_SHARE
    foretold = waited * (100 - percent) / percent if percent else longest
    return min(max(min(foretold, longest), POLL_MIN_SECONDS), POLL_MAX_SECONDS)
