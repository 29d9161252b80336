"""The vendor's time: its clock, the form of instants, lengths of time, and seeded numbers."""

import asyncio
import contextlib
import hashlib
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

from pydantic import PlainSerializer, PlainValidator, WithJsonSchema

# A timer of the event loop may fire this early; waiting again would only spin.
_EARLY_SECONDS = 0.0005


class Clock:
    """Nominal time: `now()` runs `speed` times as fast as real time."""

    def __init__(self, speed: float) -> None:
        self.speed = speed
        self._real_base = time.monotonic()
        self._nominal_base = 0.0
        self._changed = asyncio.Event()

    def set_speed(self, speed: float) -> None:
        """Change the factor; running sleeps keep their nominal length."""
        self._nominal_base = self.now()
        self._real_base = time.monotonic()
        self.speed = speed
        self._changed.set()
        self._changed = asyncio.Event()

    def now(self) -> float:
        """Nominal seconds since the clock was made."""
        return self._nominal_base + (time.monotonic() - self._real_base) * self.speed

    async def sleep(self, nominal_seconds: float) -> None:
        await asyncio.sleep(0)
        end = self.now() + nominal_seconds
        while (real := (end - self.now()) / self.speed) > _EARLY_SECONDS:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(real):
                    await self._changed.wait()


def rfc3339(epoch_seconds: float | None) -> str | None:
    if epoch_seconds is None:
        return None
    moment = datetime.fromtimestamp(epoch_seconds, UTC)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def milliseconds(epoch_seconds: float) -> int:
    return int(epoch_seconds * 1000)


MAX_SECONDS = 10_000_000.0
_HELP = "a number of seconds or 'uniform:low,high'"


@dataclass(frozen=True, slots=True)
class DelaySpec:
    """A length of time in seconds: fixed, or drawn evenly up to `high`."""

    low: float
    high: float | None = None

    def at(self, quantile: float) -> float:
        """Return the seconds at this quantile, a number in [0, 1)."""
        return self.low if self.high is None else self.low + (self.high - self.low) * quantile

    def __str__(self) -> str:
        """Write it as it is read, to the last digit."""
        low, high = (repr(float(it or 0)).removesuffix(".0") for it in (self.low, self.high))
        return low if self.high is None else f"uniform:{low},{high}"


def parse_delay(value: object) -> DelaySpec:
    """Read `30` or `"uniform:10,20"`; raise ValueError with the reason."""
    if isinstance(value, DelaySpec):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"must be {_HELP}")
    shape, colon, text = str(value).strip().rpartition(":")
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if (shape, colon, len(numbers)) not in (("", "", 1), ("uniform", ":", 2)):
        raise ValueError(f"must be {_HELP}")
    if not all(0 <= number <= MAX_SECONDS for number in numbers):
        raise ValueError(f"each number must be between 0 and {MAX_SECONDS:.0f}")
    if numbers[0] > numbers[-1]:
        raise ValueError("uniform runs from the smaller to the larger number")
    return DelaySpec(*numbers)


Delay = Annotated[
    DelaySpec,
    PlainValidator(parse_delay),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": ["number", "string"], "description": _HELP}),
]


_SPAN = float(1 << 64)


class SeededRandom:
    """Seeded numbers with a common prefix of parts, which is hashed once."""

    def __init__(self, *parts: str | int) -> None:
        self._begun = hashlib.blake2b(_joined(*parts, ""), digest_size=8)

    def number(self, *parts: str | int) -> float:
        """Return a number in [0, 1) that depends only on all the parts."""
        hasher = self._begun.copy()
        hasher.update(_joined(*parts))
        return int.from_bytes(hasher.digest(), "big") / _SPAN


def random_number(seed: int, *parts: str | int) -> float:
    """Return a number in [0, 1) that depends only on the seed and the parts."""
    return SeededRandom(seed).number(*parts)


def _joined(*parts: str | int) -> bytes:
    return "\x1f".join([str(part) for part in parts]).encode("utf-8", "surrogatepass")


def fingerprint(*parts: str) -> str:
    """Return twelve hex digits that stand for a text in keys and names."""
    return hashlib.blake2b(_joined(*parts), digest_size=6).hexdigest()
