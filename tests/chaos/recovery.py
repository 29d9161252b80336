"""How long the vendors stood still after each kind of strike; told, not judged."""

from bisect import bisect_right
from statistics import median
from typing import Any

from loadtest.books.model import Books

Pace = dict[str, dict[str, float]]


def to_next_step(books: Books, struck: list[dict[str, Any]]) -> Pace:
    """Seconds from a strike to the next acceptance or end of any generation, by kind.

    A strike that falls into another's standstill counts with what is left of it.
    """
    ends = (at for job in books.jobs for g in job.generations for at in (g.accepted, g.finished))
    steps = sorted(at for at in ends if at is not None)
    gaps: dict[str, list[float]] = {}
    for row in struck:
        place = bisect_right(steps, row["epoch"])
        if place < len(steps):
            gaps.setdefault(str(row["kind"]), []).append(steps[place] - row["epoch"])
    return {
        kind: {"median": round(median(found), 3), "longest": round(max(found), 3)}
        for kind, found in sorted(gaps.items())
    }
