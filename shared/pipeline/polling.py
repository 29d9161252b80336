"""Wait for an accepted generation to end: only the vendor's answer, or hours, end the wait."""

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

# The answer of a poll; None: the vendor doesn't know the generation.
News = VendorStatus | VendorError | None
# Seconds until the next poll, from the seconds waited so far and the percent reached.
Pace = Callable[[float, int], float]
# Asks the vendor to stop a generation that is past its deadline.
Stop = Callable[[str], Awaitable[None]]


class Ended(NamedTuple):
    """An ended generation: the vendor's id, the result's address, and the vendor's charge in its
    own units."""

    vendor_id: str
    url: str
    units: str | None


def asked_by(vendor: Vendor, ours: str, vendor_id: str | None) -> str | None:
    """Return the id to ask for a generation; None if it can't be asked for.

    It is our id if the vendor finds it, because the answer to a submit may have named another
    generation.
    """
    return ours if vendor.traits.looked_up else vendor_id


async def end_of(vendor: Vendor, asked: str, *, known: str | None) -> Ended | None:
    """Return the end of a generation that has succeeded; None if there is no result to fetch.

    `known`: the vendor's id of it, which the answer must have.
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
    """Return a generation that succeeded, also a late one, as soon as its result can be fetched.

    Raises GenerationFailed if the vendor says so, or gave no address after a success;
    RefusedForGood if every other one would fail, too; AttemptTimedOut if we stopped it;
    GenerationLost if the vendor doesn't know it any more; GivenUp at the end of the longest allowed
    time.

    The wait goes on while the vendor is away, and time in its queue does not count as work. Past
    the deadline, `stop` is called once the percent stands still. An answer that names another
    generation is believed when it comes twice in a row, because then the answer to the submit was
    wrong.
    """
    wait, percent, other = _Wait(accepted, limits, now=pulse.now()), 0, ""
    stopped = False
    asked = asked_by(vendor, ours, accepted.vendor_id) or accepted.vendor_id
    while True:
        news = await _look(vendor, asked)
        if isinstance(news, VendorStatus) and news.vendor_id not in (accepted.vendor_id, other):
            other, news = news.vendor_id, OutcomeUnknown(ANOTHER)
        elif isinstance(news, VendorStatus):
            if news.vendor_id == other:
                accepted = (pulse.accepted or accepted).model_copy(update={"vendor_id": other})
                pulse.accept(accepted)
            other = ""
        pulse.worked(wait.looked(news))
        if isinstance(news, VendorStatus):
            if news.state == "succeeded" and news.url:
                return Ended(news.vendor_id, news.url, news.units)
            if news.state == "failed":
                raise _failure(news, limits, stopped=stopped)
            percent = news.percent
            await pulse.progress(percent, position=news.position)
        elif isinstance(news, VendorError) and wait.silent > WAITING_SECONDS:
            await pulse.report_wait(news)
        wait.check()
        seconds = pace(wait.seconds, percent)
        if wait.is_late and not wait.is_over:
            await pulse.report_late(limits.deadline)
            if stop is not None and wait.is_still:
                stopped = True
                await stop(accepted.vendor_id)
            seconds *= LATE_PACE
        await asyncio.sleep(wait.pause(seconds))


class _Wait:
    """The time that one generation has been waited for, and the part of it that counts."""

    def __init__(self, accepted: Accepted, limits: StageLimits, *, now: float) -> None:
        self._limits = limits
        self._began = self._now = self._heard_at = time.monotonic()
        self._accepted = self._began - (now - accepted.accepted_at)
        self._worked = accepted.worked_seconds
        self._percent = 0
        # The progress before an earlier try's death is not known here.
        self._rose_at = accepted.worked_seconds
        self._news: News = None
        self._missing_since: float | None = None
        self._succeeded_at: float | None = None

    @property
    def seconds(self) -> float:
        return self._now - self._began

    @property
    def silent(self) -> float:
        return self._now - self._heard_at

    @property
    def is_late(self) -> bool:
        """True if the vendor has worked on it for longer than the deadline."""
        return self._worked > self._limits.deadline

    @property
    def is_still(self) -> bool:
        """True if the percent has not risen during the last part of the vendor's work."""
        return self._worked - self._rose_at > STILL_SHARE * self._limits.deadline

    @property
    def is_over(self) -> bool:
        """True if it has succeeded, even without a known address."""
        return self._succeeded_at is not None

    def looked(self, news: News) -> float:
        """Note an answer; add the seconds of work since the last one."""
        before, self._now, last, self._news = self._now, time.monotonic(), self._news, news
        if not isinstance(news, VendorError):
            self._heard_at = self._now
            # Counted from the first such answer, because after an outage a vendor may need a
            # moment.
            self._missing_since = None if news else self._missing_since or self._now
        if isinstance(news, VendorStatus):
            # A success that is taken back was none: it may still run.
            succeeded = news.state == "succeeded"
            self._succeeded_at = (self._succeeded_at or self._now) if succeeded else None
        working = _works(news) and (last is None or _works(last))
        self._worked += self._now - before if working else 0.0
        if isinstance(news, VendorStatus) and news.percent > self._percent:
            self._percent, self._rose_at = news.percent, self._worked
        return self._now - before if working else 0.0

    def check(self) -> None:
        """Raise if a longer wait is pointless."""
        limits = self._limits
        if self._news is None and self._longer(limits.lost, self._missing_since):
            raise GenerationLost("The vendor accepted the task and doesn't know it any more.")
        told = not isinstance(self._news, VendorError)
        if told and self._longer(limits.lost, self._succeeded_at):
            raise GenerationFailed("The vendor reports success without the result's address.")
        if self._longer(limits.give_up, self._accepted):
            raise GivenUp(f"No result within {limits.give_up:g} s.")

    def _longer(self, seconds: float, since: float | None) -> bool:
        return since is not None and self._now - since > seconds

    def pause(self, wanted: float) -> float:
        """Return the seconds until the next poll; one comes just after the deadline."""
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
    return isinstance(news, VendorStatus) and news.state == "running"


async def _look(vendor: Vendor, vendor_id: str) -> News:
    """Poll once, a success for its address, too; a failed call is no news about the task, so the
    next one decides."""
    try:
        news = await vendor.status(vendor_id)
        if news is not None and news.state == "succeeded":
            news = news.model_copy(update={"url": await vendor.address(news)})
        return news
    except VendorError as error:
        # The frames of it, and of what it comes from, would keep the answer.
        error.__context__ = None
        return error.with_traceback(None)


def share_pace(waited: float, percent: int) -> float:
    """Return the pause until the end that the percent predicts, within bounds, so that a result
    does not wait.

    A vendor that says 100 % of what it has not delivered predicts nothing.
    """
    longest = waited * POLL_SHARE
    predicted = waited * (100 - percent) / percent if 0 < percent < 100 else longest
    return min(max(min(predicted, longest), POLL_MIN_SECONDS), POLL_MAX_SECONDS)
