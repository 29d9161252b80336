"""Free checks of Kling: the account, and the callback address."""

import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from services.worker.settings.worker import WorkerSettings
from services.worker.vendors.kling.answers import data_of
from shared.errors import VendorError
from shared.pipeline.answers import member
from shared.pipeline.findings import Finding, ok, unasked, warning
from shared.redact import redacted

KEY, CLOCK, UNITS = "Kling key", "Kling clock", "Kling units"
CALLBACKS = "Kling callbacks"
# A new token is made by the vendor's clock if ours is wrong, which costs a call each time.
SKEW_SECONDS = 30
# A pack that ends sooner than this is warned of.
SOON_SECONDS = 7 * 86_400
_DAY_SECONDS = 86_400
UNLESS = "tasks get 1102, unless the account pays afterwards"

Call = Callable[..., Awaitable[httpx.Response]]


async def account(call: Call, at: str) -> list[Finding]:
    """Check the account by its resource packs.

    By the documentation this may be asked once a second, and the figures lag by hours.
    """
    now = time.time()
    span = {"start_time": int((now - _DAY_SECONDS) * 1000), "end_time": int(now * 1000)}
    try:
        answer = await call("GET", "/account/costs", params=span)
        found = data_of(answer)
    except VendorError as error:
        return [unasked(KEY, error, at=f"{at} (KLING_URL)")]
    packs = member(found, "resource_pack_subscribe_infos")
    units = _units(packs if isinstance(packs, list) else [], time.time())
    return [ok(KEY, f"{at} takes it"), *_clock(answer.headers.get("date", ""), now), units]


def _clock(date: str, now: float) -> Iterator[Finding]:
    try:
        ahead = now - parsedate_to_datetime(date).timestamp()
    except (ValueError, TypeError, OverflowError):
        return
    if abs(ahead) <= SKEW_SECONDS:
        yield ok(CLOCK, "as Kling's, within half a minute")
        return
    way = "ahead of" if ahead > 0 else "behind"
    yield warning(CLOCK, f"this machine's clock is {abs(ahead):.0f} s {way} Kling's: set it")


def _units(packs: list[Any], now: float) -> Finding:
    """Check the packs. Without a usable pack it is a warning, because an account with post-payment
    needs none, and no call shows that."""
    if not packs:
        return warning(UNITS, f"the account has no resource pack: {UNLESS}")
    total, last = 0.0, 0.0
    for pack in packs:
        left = _number(member(pack, "remaining_quantity"))
        # In milliseconds; a pack that doesn't say it has no end.
        ends = _number(member(pack, "invalid_time")) / 1000 or float("inf")
        if member(pack, "status") in ("online", None) and ends > now and left > 0:
            total, last = total + left, max(last, ends)
    if not total:
        names = ", ".join(str(member(each, "resource_pack_name")) for each in packs)
        gone = f"each resource pack is used up or expired ({names})"
        return warning(UNITS, f"nothing is left: {gone}: {UNLESS}")
    try:
        day = f"{datetime.fromtimestamp(last, UTC):%Y-%m-%d}"
    except (ValueError, OverflowError, OSError):
        day = "an unknown day"
    amount = f"{total:,.2f}".removesuffix(".00")
    says = f"{amount} units are left, until {day} at the latest"
    return warning(UNITS, says) if last - now < SOON_SECONDS else ok(UNITS, says)


def _number(value: Any) -> float:
    try:
        return float(value)
    except (ValueError, TypeError, OverflowError):
        return 0.0


def callbacks(settings: WorkerSettings) -> Finding:
    """Return a warning that Kling gets no callback address, because it can't reach ours."""
    return warning(
        CALLBACKS,
        f"polling only: CALLBACK_URL={redacted(settings.callback_url)} is not a public https"
        " address, so Kling gets none",
    )
