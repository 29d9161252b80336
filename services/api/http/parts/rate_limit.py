"""How often one address may ask; a burst of one second's worth is free, memory is bounded."""

import time
from collections.abc import Callable

from shared.errors import GenvideoError

MOST_ADDRESSES = 10_000


class TooFast(
    GenvideoError, code="too_fast", status=429, title="Too many requests", retryable=True
):
    """One address asks more often than API_RATE allows."""


class RateLimit:
    """Keeps, per address, the moment until which its allowance is used; 0 a second: no limit."""

    def __init__(self, rate: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.rate = rate
        self._clock = clock
        self._used_until: dict[str, float] = {}

    def require(self, address: str, count: int = 1, *, what: str) -> None:
        """Count so many at once, or raise TooFast."""
        seconds = self.delay(address, count)
        if seconds > 0:
            raise TooFast(f"At most {self.rate} {what} a second.", retry_after=seconds)

    def delay(self, address: str, count: int = 1) -> float:
        """Count so many at once; 0 where one more may pass, else the seconds until one may."""
        if self.rate == 0:
            return 0.0
        now = self._clock()
        used = max(self._used_until.get(address, now), now)
        ahead = used + 1 / self.rate - now
        if ahead > 1 + 1e-9:
            return ahead - 1
        self._used_until[address] = used + count / self.rate
        if len(self._used_until) > MOST_ADDRESSES:
            self._forget(now)
        return 0.0

    def _forget(self, now: float) -> None:
        """Drop who has its whole allowance back; were there too many even so, all of them."""
        left = {address: used for address, used in self._used_until.items() if used > now}
        self._used_until = left if len(left) <= MOST_ADDRESSES else {}
