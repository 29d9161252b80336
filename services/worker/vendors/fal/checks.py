"""What fal lets one check for nothing: whether the key is taken."""

from collections.abc import Awaitable, Callable

from services.worker.vendors.findings import Finding, ok, unasked
from services.worker.vendors.vendor import VendorStatus
from shared.errors import VendorError

KEY, CALLBACKS, SIZE = "fal key", "fal callbacks", "fal size"
# A request that nobody has ever made.
NOBODYS = "00000000-0000-0000-0000-000000000000"

Status = Callable[[str], Awaitable[VendorStatus | None]]


async def key(status: Status, app: str, at: str) -> Finding:
    """By a request that isn't there: that it is unknown is told only to who may ask."""
    try:
        await status(f"{app}/requests/{NOBODYS}")
    except VendorError as error:
        return unasked(KEY, error, at=at)
    return ok(KEY, f"{at} takes it, and does not tell what is left")
