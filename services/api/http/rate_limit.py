"""How often one address may ask; a burst of one second's worth is free, memory is bounded."""

import time
from collections.abc import Callable

MOST_ADDRESSES = 10_000


class RateLimit:
    """Keeps, per address, the moment until which its allowance is used; 0 a second: no limit."""

    def __init__(self, rate: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.rate = rate
        self._clock = clock
        self._used_until: dict[str, float] = {}

    def delay(self, address: str) -> float:
        """Count one request; 0 where it may pass, else the seconds until one may."""
        if self.rate == 0:
            return 0.0
        now = self._clock()
        used = max(self._used_until.get(address, now), now) + 1 / self.rate
        ahead = used - now
        if ahead > 1 + 1e-9:
            return ahead - 1
        self._used_until[address] = used
        if len(self._used_until) > MOST_ADDRESSES:
            self._forget(now)
        return 0.0

    def _forget(self, now: float) -> None:
        """Drop who has its whole allowance back; were there too many even so, all of them."""
        left = {address: used for address, used in self._used_until.items() if used > now}
        self._used_until = left if len(left) <= MOST_ADDRESSES else {}
