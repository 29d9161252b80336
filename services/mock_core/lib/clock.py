"""The vendor's clock: delays are nominal seconds divided by a speed that may change meanwhile."""

import asyncio
import heapq
import itertools
import time

# A timer of the event loop may fire this much early; waiting again for so little would only spin.
_EARLY_SECONDS = 0.0005


class Clock:
    """Nominal time; `now()` runs `speed` times as fast as the wall."""

    def __init__(self, speed: float) -> None:
        self._speed = speed
        self._real_base = time.monotonic()
        self._nominal_base = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = itertools.count()
        self._handle: asyncio.TimerHandle | None = None

    @property
    def speed(self) -> float:
        return self._speed

    def set_speed(self, speed: float) -> None:
        """Change the factor; sleeps that are under way keep their nominal length."""
        self._nominal_base = self.now()
        self._real_base = time.monotonic()
        self._speed = speed
        if self._sleepers:
            self._arm()

    def now(self) -> float:
        """Nominal seconds since the clock was made."""
        return self._nominal_base + (time.monotonic() - self._real_base) * self._speed

    def to_real(self, nominal_seconds: float) -> float:
        return nominal_seconds / self._speed

    async def sleep(self, nominal_seconds: float) -> None:
        if nominal_seconds <= 0:
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (self.now() + nominal_seconds, next(self._order), future)
        heapq.heappush(self._sleepers, entry)
        if self._sleepers[0] is entry:
            self._arm()
        await future

    def _arm(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
        real = max(self.to_real(self._sleepers[0][0] - self.now()), 0.0)
        self._handle = asyncio.get_running_loop().call_later(real, self._wake)

    def _wake(self) -> None:
        self._handle = None
        due = self.now() + _EARLY_SECONDS * self._speed
        while self._sleepers and (self._sleepers[0][0] <= due or self._sleepers[0][2].done()):
            future = heapq.heappop(self._sleepers)[2]
            if not future.done():
                future.set_result(None)
        if self._sleepers:
            self._arm()
