"""A clock that passes as the code under test sleeps."""

import asyncio
import time
from typing import Any

# Whole, for a `datetime` rounds.
BEGAN = float(int(time.time()))


class Clock:
    """Stands for the modules `time` and `asyncio` in the code under test."""

    def __init__(self) -> None:
        self.passed = 0.0
        self.pauses: list[float] = []
        # By how many seconds this machine's clock is ahead of the server's.
        self.ahead = 0.0

    def time(self) -> float:
        return BEGAN + self.passed + self.ahead

    monotonic = time

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.passed += seconds

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio, name)
