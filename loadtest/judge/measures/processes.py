"""What each process used over a run, and whether it grew; a short run proves no growth."""

from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from loadtest.books.facts import ProcessSample

FEWEST_SAMPLES, SHORTEST = 9, 60.0
GROWTH_SHARE = 0.1
GROWTH_LEAST = {"rss": 8 * 2**20, "fds": 8}
TOO_SHORT, LEVEL, GROWS = "too short to tell", "level", "grows"


@dataclass(frozen=True, slots=True)
class Usage:
    """One process over the run: cores, bytes, descriptors."""

    name: str
    samples: int
    cores: float | None
    cores_most: float | None
    rss_first: float
    rss_most: float
    rss_last: float
    fds_first: float
    fds_most: float
    fds_last: float
    rss_trend: str
    fds_trend: str
    restarts: int


def usage(name: str, samples: list[ProcessSample]) -> Usage:
    """Judge one process; a restart makes its CPU count begin anew."""
    rates = [
        (after.cpu - before.cpu) / (after.at - before.at)
        for before, after in pairwise(samples)
        if after.cpu >= before.cpu and after.at > before.at
    ]
    spent = sum(max(0.0, after.cpu - before.cpu) for before, after in pairwise(samples))
    whole = samples[-1].at - samples[0].at
    return Usage(
        name=name,
        samples=len(samples),
        cores=spent / whole if whole > 0 else None,
        cores_most=max(rates, default=None),
        rss_first=samples[0].rss,
        rss_most=max(sample.rss for sample in samples),
        rss_last=samples[-1].rss,
        fds_first=samples[0].fds,
        fds_most=max(sample.fds for sample in samples),
        fds_last=samples[-1].fds,
        rss_trend=_trend([s.rss for s in samples], whole, least=GROWTH_LEAST["rss"]),
        fds_trend=_trend([s.fds for s in samples], whole, least=GROWTH_LEAST["fds"]),
        restarts=sum(after.cpu < before.cpu for before, after in pairwise(samples)),
    )


def _trend(values: list[float], seconds: float, *, least: float) -> str:
    """The second third against the last: what a process does before is warming up."""
    if len(values) < FEWEST_SAMPLES or seconds < SHORTEST:
        return TOO_SHORT
    third = len(values) // 3
    middle, late = median(values[third : 2 * third]), median(values[-third:])
    grown = late - middle
    return GROWS if grown > max(least, GROWTH_SHARE * middle) else LEVEL
