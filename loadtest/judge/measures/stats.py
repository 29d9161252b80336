"""Order statistics that don't claim more than the sample can carry."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

P95_FROM = 20
P99_FROM = 100


@dataclass(frozen=True, slots=True)
class Spread:
    """A sample's order statistics; p95 from 20 values on, p99 from 100, else None."""

    n: int
    min: float | None = None
    median: float | None = None
    p95: float | None = None
    p99: float | None = None
    max: float | None = None
    total: float = 0.0


def spread(values: Iterable[float | None]) -> Spread:
    """The spread of the values that are known."""
    known = sorted(value for value in values if value is not None)
    if not known:
        return Spread(0)
    return Spread(
        n=len(known),
        min=known[0],
        median=_median(known),
        p95=percentile(known, 95) if len(known) >= P95_FROM else None,
        p99=percentile(known, 99) if len(known) >= P99_FROM else None,
        max=known[-1],
        total=math.fsum(known),
    )


def percentile(ordered: Sequence[float], percent: float) -> float:
    """Nearest rank: always a value that was really measured."""
    return ordered[max(0, math.ceil(percent / 100 * len(ordered)) - 1)]


def _median(ordered: Sequence[float]) -> float:
    middle = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[middle]
    return (ordered[middle - 1] + ordered[middle]) / 2
