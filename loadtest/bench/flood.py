"""What a flood of new jobs costs the one that holds the slot: its turns, beside those before it."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

from loadtest.bench import slot
from loadtest.bench.bed import Bed
from loadtest.bench.figures import Figure
from loadtest.times import instant

PART = "flood"
LOOK_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Flood:
    """Seconds from one image accepted to the next, and how many new jobs a second were queued."""

    calm: tuple[float, ...]
    flooded: tuple[float, ...]
    rate: float


async def measure(bed: Bed, *, jobs: int, calm: int, note: Callable[[str], None]) -> list[Figure]:
    """So many turns in peace, then those that fall into the intake of `jobs` new ones."""
    await bed.submit_all("calm", calm + 1)
    await slot.until(bed, lambda view: not view["holders"], every=LOOK_SECONDS)
    before = await _accepted(bed)
    began = time.monotonic()
    async with asyncio.TaskGroup() as group:
        group.create_task(bed.submit_all("flood", jobs))
        group.create_task(_until_queued(bed, jobs, len(before)))
    rate = jobs / (time.monotonic() - began)
    during = (await _accepted(bed))[len(before) :]
    found = Flood(_turns(before), _turns(during), rate)
    note(f"{fmean(found.calm):.2f} s a turn in peace, {fmean(found.flooded):.2f} s in the flood")
    return figures(found, jobs)


async def _until_queued(bed: Bed, jobs: int, before: int) -> None:
    """Return when each of them waits, or had its turn."""
    while True:
        begun = len(await _accepted(bed)) - before
        if await slot.waiting(bed) + begun >= jobs:
            return
        await asyncio.sleep(LOOK_SECONDS)


async def _accepted(bed: Bed) -> list[float]:
    """When each image was accepted, by the vendor's clock."""
    rows = await bed.vendors["image"].ledger()
    return sorted(at for row in rows if (at := instant(row["accepted_at"])) is not None)


def _turns(accepted: list[float]) -> tuple[float, ...]:
    return tuple(later - earlier for earlier, later in pairwise(accepted))


def figures(found: Flood, jobs: int) -> list[Figure]:
    """The table's lines."""

    def line(name: str, value: float, unit: str) -> Figure:
        return Figure(part=PART, name=name, unit=unit, values=(round(value, 3),))

    return [
        line("a turn in peace, mean", fmean(found.calm), "s"),
        line(f"a turn while {jobs} new jobs come in, mean", fmean(found.flooded), "s"),
        line("a turn in the flood / in peace", fmean(found.flooded) / fmean(found.calm), ""),
        line("new jobs queued", found.rate, "1/s"),
    ]
