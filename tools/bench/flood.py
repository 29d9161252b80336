"""What a flood of new jobs costs the one that holds the slot: its turns, beside those before it."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

from loadtest.times import instant
from tools.bench.stack import StackUnderTest
from tools.bench.table import Figure

PART = "flood"
LOOK_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Flood:
    """Seconds from one image accepted to the next, and how many new jobs a second were queued."""

    calm: tuple[float, ...]
    flooded: tuple[float, ...]
    rate: float


async def measure(
    stack: StackUnderTest, *, jobs: int, calm: int, note: Callable[[str], None]
) -> list[Figure]:
    """So many turns in peace, then those that fall into the intake of `jobs` new ones."""
    await stack.submit_all("calm", calm + 1)
    before = await _until_accepted(stack, calm + 1)
    await stack.until(lambda view: not view["holders"], every=LOOK_SECONDS)
    began = time.monotonic()
    async with asyncio.TaskGroup() as group:
        group.create_task(stack.submit_all("flood", jobs))
        group.create_task(_until_queued(stack, jobs, len(before)))
    rate = jobs / (time.monotonic() - began)
    during = (await _accepted(stack))[len(before) :]
    found = Flood(_turns(before), _turns(during), rate)
    note(f"{fmean(found.calm):.2f} s a turn in peace, {fmean(found.flooded):.2f} s in the flood")
    return figures(found, jobs)


async def _until_accepted(stack: StackUnderTest, count: int) -> list[float]:
    """What `_accepted` tells as soon as there are so many."""
    while True:
        if len(found := await _accepted(stack)) >= count:
            return found
        await asyncio.sleep(LOOK_SECONDS)


async def _until_queued(stack: StackUnderTest, jobs: int, before: int) -> None:
    """Return when each of them waits, or had its turn; a turn needs two that began."""
    while True:
        begun = len(await _accepted(stack)) - before
        if begun >= 2 and await stack.waiting() + begun >= jobs:
            return
        await asyncio.sleep(LOOK_SECONDS)


async def _accepted(stack: StackUnderTest) -> list[float]:
    """When each image was accepted, by the vendor's clock."""
    rows = await stack.vendors["image"].ledger()
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
