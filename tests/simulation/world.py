"""Virtual time: a heap of what is to happen; nothing here waits."""

import heapq
from collections.abc import Callable
from typing import Any

from tests.simulation.chance import Chance

# Some moment; tokens of the semaphore are milliseconds since 1970.
BEGINNING = 1_800_000_000.0
ASKED_EVERY = 16


class World:
    """What happens when; of two things at one moment the one that was announced first."""

    def __init__(self, seed: int) -> None:
        self.now = BEGINNING
        self.chance = Chance(seed)
        self.happened = 0
        # By how many seconds the clock of the process at work is ahead.
        self.skew = 0.0
        self._heap: list[tuple[float, int, Callable[..., Any], tuple[Any, ...]]] = []
        self._announced = 0

    def at(self, when: float, action: Callable[..., Any], *args: Any) -> None:
        """Have something happen at a time, or now where that has passed."""
        self._announced += 1
        heapq.heappush(self._heap, (max(when, self.now), self._announced, action, args))

    def after(self, seconds: float, action: Callable[..., Any], *args: Any) -> None:
        """Have something happen so much later."""
        self.at(self.now + seconds, action, *args)

    def run(self, until: float, is_over: Callable[[], bool]) -> None:
        """Let things happen, up to a time or until it is over; that is asked now and then."""
        heap, pop = self._heap, heapq.heappop
        while heap and not is_over():
            for _ in range(ASKED_EVERY):
                if not heap or heap[0][0] > until:
                    return
                self.now, _, action, args = pop(heap)
                self.happened += 1
                action(*args)

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return self.now - BEGINNING
