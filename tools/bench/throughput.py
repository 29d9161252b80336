"""Throughput: jobs whose vendors work for some milliseconds, beside bare workflows of the same run.

A bare workflow has two activities that do nothing. So many of them run at once, and each that ends
is followed by another one. As many jobs run as the slot's limit allows, and some more wait, so that
the slot is never idle for want of a job.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from uuid import uuid4

from temporalio.client import WorkflowFailureError

from tools.bench.stack import StackUnderTest, at_work, bare
from tools.bench.table import Figure

PART = "throughput"
LIMITS = (50, 1)
# So many jobs more than may run.
WAITING = 10


@dataclass(frozen=True, slots=True)
class Rates:
    """So many a second, by how many there were at once."""

    jobs: dict[int, float]
    bare: dict[int, float]


async def measure(
    stack: StackUnderTest, runs: int, *, jobs: int, note: Callable[[str], None]
) -> list[Figure]:
    """So many runs of so many jobs and as many bare workflows, at each limit of the slot."""
    found = []
    async with at_work(stack.client):
        # The first ones pay for everything that happens once.
        await _rate(_bare(stack), 1, at_once=1)
        await _rate(_job(stack), 1, at_once=1)
        for _ in range(runs):
            found.append(await _rates(stack, jobs))
            note(", ".join(map(_said, [found[-1]] * len(LIMITS), LIMITS)))
    return figures(found)


async def _rates(stack: StackUnderTest, jobs: int) -> Rates:
    found = Rates({}, {})
    for limit in LIMITS:
        await stack.limit(limit)
        found.bare[limit] = await _rate(_bare(stack), jobs, at_once=limit)
        found.jobs[limit] = await _rate(_job(stack), jobs, at_once=limit + WAITING)
    return found


def _bare(stack: StackUnderTest) -> Callable[[], Awaitable[object]]:
    return lambda: bare(stack.client)


def _job(stack: StackUnderTest) -> Callable[[], Awaitable[object]]:
    async def one() -> None:
        job = await stack.submit(f"throughput {uuid4().hex}")
        try:
            await stack.client.get_workflow_handle(job).result()
        except WorkflowFailureError as failure:
            raise AssertionError(f"{job} failed: {failure.cause}") from failure

    return one


async def _rate(one: Callable[[], Awaitable[object]], count: int, *, at_once: int) -> float:
    """So many a second, from the first one's start to the last one's end."""
    left = iter(range(count))

    async def work() -> None:
        for _ in left:
            await one()

    began = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(work())
    return count / (time.monotonic() - began)


def figures(found: Sequence[Rates]) -> list[Figure]:
    """The table's lines."""
    return [line for limit in LIMITS for line in _at(limit, found)]


def _at(limit: int, found: Sequence[Rates]) -> list[Figure]:
    def line(name: str, unit: str, value: Callable[[Rates], float]) -> Figure:
        values = tuple(round(value(each), 3) for each in found)
        return Figure(part=PART, name=f"{name}, {limit} at once", unit=unit, values=values)

    return [
        line("jobs", "1/s", lambda each: each.jobs[limit]),
        line("bare workflows of two activities", "1/s", lambda each: each.bare[limit]),
        line("jobs / bare workflows", "", lambda each: each.jobs[limit] / each.bare[limit]),
    ]


def _said(rates: Rates, limit: int) -> str:
    jobs, plain = rates.jobs[limit], rates.bare[limit]
    return f"{limit} at once: {jobs:.1f}/s of {plain:.1f}/s bare, {jobs / plain:.2f}"
