"""The sweep line: how many intervals cover an instant; an end at a start is no overlap."""

import heapq
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Interval:
    """A job's time as one book shows it, from and to."""

    name: str
    begin: float
    end: float


@dataclass(frozen=True, slots=True)
class Overlap:
    """The first two that ran at once though the limit forbade it."""

    first: str
    second: str
    begin: float
    end: float


@dataclass(frozen=True, slots=True)
class Sweep:
    """What a sweep found: the most at once, when, and the first violation of the limit."""

    intervals: int
    most: int
    at: float | None
    violation: Overlap | None
    violations: int


def sweep(intervals: Iterable[Interval], limit: int) -> Sweep:
    """Sweep over the intervals in the order of their beginnings."""
    active: list[tuple[float, str]] = []
    most, at, count, violations = 0, None, 0, 0
    first: Overlap | None = None
    for interval in sorted(intervals, key=lambda i: (i.begin, i.end)):
        count += 1
        while active and active[0][0] <= interval.begin:
            heapq.heappop(active)
        if len(active) >= limit:
            violations += 1
            # The one that ends last: its overlap with this one is the longest there is.
            first = first or _overlap(max(active), interval)
        heapq.heappush(active, (interval.end, interval.name))
        if len(active) > most:
            most, at = len(active), interval.begin
    return Sweep(count, most, at, first, violations)


def _overlap(active: tuple[float, str], late: Interval) -> Overlap:
    end, name = active
    return Overlap(name, late.name, late.begin, min(end, late.end))
