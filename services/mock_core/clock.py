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
_SHAPES = {"fixed": 1, "uniform": 2}
_HELP = "a number of seconds or 'uniform:low,high'"


@dataclass(frozen=True, slots=True)
class DelaySpec:
    """A length of time: `fixed` is `a`; `uniform` runs from `a` to `b`."""

    shape: str
    a: float
    b: float = 0.0

    def at(self, quantile: float) -> float:
        """Return the seconds at this quantile, a number in [0, 1)."""
        if self.shape == "fixed":
            return self.a
        return self.a + (self.b - self.a) * quantile

    def __str__(self) -> str:
        """Write it as it is read, to the last digit."""
        if self.shape == "fixed":
            return _digits(self.a)
        return f"{self.shape}:{_digits(self.a)},{_digits(self.b)}"


def _digits(number: float) -> str:
    return repr(float(number)).removesuffix(".0")


def parse_delay(value: object) -> DelaySpec:
    """Read `30` or `"uniform:10,20"`; raise ValueError with the reason."""
    if isinstance(value, DelaySpec):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"must be {_HELP}")
    shape, separator, rest = str(value).strip().partition(":")
    if not separator:
        shape, rest = "fixed", shape
    if shape not in _SHAPES:
        raise ValueError(f"unknown shape {shape!r}: must be {_HELP}")
    try:
        numbers = [float(part) for part in rest.split(",")]
    except ValueError:
        raise ValueError(f"must be {_HELP}") from None
    if len(numbers) != _SHAPES[shape]:
        raise ValueError(f"needs {_SHAPES[shape]} number(s): must be {_HELP}")
    if not all(0 <= number <= MAX_SECONDS for number in numbers):
        raise ValueError(f"each number must be between 0 and {MAX_SECONDS:.0f}")
    if shape == "uniform" and numbers[0] > numbers[1]:
        raise ValueError("uniform runs from the smaller to the larger number")
    return DelaySpec(shape, *numbers)


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
