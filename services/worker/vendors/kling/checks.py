"""What Kling lets one check for nothing: the key, the clock, and what is left of what was paid."""

import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from services.worker.settings.worker import WorkerSettings
from services.worker.vendors.callbacks import is_inside, untold
from services.worker.vendors.failures import member
from services.worker.vendors.findings import Finding, ok, unasked, warning, wrong
from services.worker.vendors.kling.answers import data_of
from shared.errors import VendorError

KEY, CLOCK, UNITS = "Kling key", "Kling clock", "Kling units"
IMAGE, SIZE, CALLBACKS = "Kling image", "Kling size", "Kling callbacks"
# A token is made anew by the vendor's clock where ours is wrong, which costs a call each time.
SKEW_SECONDS = 30
# A pack that ends sooner than this is warned of.
SOON_SECONDS = 7 * 86_400
_DAY_SECONDS = 86_400
UNLESS = "1102, unless it pays afterwards"

Call = Callable[..., Awaitable[httpx.Response]]


async def account(call: Call, at: str) -> list[Finding]:
    """By its resource packs: at most once a second, and hours behind, so says the documentation."""
    now = time.time()
    span = {"start_time": int((now - _DAY_SECONDS) * 1000), "end_time": int(now * 1000)}
    try:
        answer = await call("GET", "/account/costs", params=span)
        found = data_of(answer)
    except VendorError as error:
        return [unasked(KEY, error, at=at)]
    packs = member(found, "resource_pack_subscribe_infos")
    units = _units(packs if isinstance(packs, list) else [], time.time())
    return [ok(KEY, f"{at} takes it"), *_clock(answer.headers.get("date", ""), now), units]


def standing(settings: WorkerSettings, *, pushes: bool) -> Iterator[Finding]:
    """What the settings alone tell: the way of the picture, and that of callbacks."""
    outside = not is_inside(settings.video_service_url)
    if settings.kling_image == "base64":
        yield ok(IMAGE, "our stored file is sent, so that Kling fetches nothing from us")
    elif settings.image_api == "comfyui":
        yield wrong(
            IMAGE,
            "KLING_IMAGE=url has Kling fetch each picture from the ComfyUI itself, without"
            " COMFYUI_HEADERS and with the workflow in it: KLING_IMAGE=base64 sends our file",
        )
    elif outside and is_inside(settings.image_service_url):
        yield wrong(
            IMAGE,
            "KLING_IMAGE=url has Kling fetch each picture at COMFYUI_URL, which is not public:"
            " KLING_IMAGE=base64 sends it",
        )
    else:
        yield ok(IMAGE, "Kling fetches it at COMFYUI_URL (KLING_IMAGE=url)")
    if not pushes:
        yield untold(CALLBACKS, settings, "Kling")


def _clock(date: str, now: float) -> Iterator[Finding]:
    """Nothing where the answer has no date."""
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
    """Without a pack that can be used it is a warning: an account that pays afterwards needs none,
    and nothing tells which one does."""
    if not packs:
        return warning(UNITS, f"the account has no resource pack: {UNLESS}")
    good = [(each, left) for each in packs if (left := _left(each, now)) > 0]
    if not good:
        names = ", ".join(str(member(each, "resource_pack_name")) for each in packs)
        gone = f"each resource pack is used up or over ({names})"
        return warning(UNITS, f"nothing is left: {gone}: {UNLESS}")
    total = sum(left for _, left in good)
    ends = max(_ends(each) for each, _ in good)
    told = f"{total:,.2f}".removesuffix(".00")
    says = f"{told} units are left, until {_day(ends)} at the latest"
    return warning(UNITS, says) if ends - now < SOON_SECONDS else ok(UNITS, says)


def _left(pack: Any, now: float) -> float:
    """What can be used of a pack at this moment, by its own figures."""
    status, left = member(pack, "status"), member(pack, "remaining_quantity")
    if status not in ("online", None) or _ends(pack) <= now:
        return 0.0
    return _number(left)


def _ends(pack: Any) -> float:
    """In seconds; never, where it doesn't say."""
    return _number(member(pack, "invalid_time")) / 1000 or float("inf")


def _number(value: Any) -> float:
    try:
        return float(value)
    except (ValueError, TypeError, OverflowError):
        return 0.0


def _day(seconds: float) -> str:
    try:
        return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d}"
    except (ValueError, OverflowError, OSError):
        return "no day that it says"
