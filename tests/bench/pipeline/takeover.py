"""Take-over: a job's worker is killed with -9 while another one lives, in each of its stages."""

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from temporalio.client import WorkflowFailureError

from loadtest.books.facts import Activity, Execution
from loadtest.books.fields import read
from loadtest.collect.histories import summarise
from loadtest.times import instant
from tests.bench.pipeline import slot
from tests.bench.pipeline.figures import Figure, milliseconds
from tests.bench.pipeline.hop import hops
from tests.bench.pipeline.moments import MOMENTS, Moment, draw
from tests.bench.pipeline.stack import StackUnderTest
from tests.bench.pipeline.victim import kill

PART = "takeover"
NAMES = tuple(moment.name for moment in MOMENTS)
TRIAL_SECONDS = 60.0
TRIES = 10


@dataclass(frozen=True, slots=True)
class TakeOver:
    """Seconds from one kill to what went on; `next_job` without service that began after it."""

    moment: str
    next_step: float
    next_job: float


async def measure(
    stack: StackUnderTest, runs: int, *, seed: int, only: str, note: Callable[[str], None]
) -> list[Figure]:
    """Kill at each moment so many times, in turns."""
    chance = random.Random(seed)  # noqa: S311 - a seed makes it repeatable
    note(f"seed {seed}")
    found = []
    async with hops(stack.client, stack.temporal) as sampled:
        for run in range(runs):
            for moment in [moment for moment in MOMENTS if only in ("", moment.name)]:
                found.append(await _hit(stack, moment, f"{seed}-{run}", chance=chance))
                note(f"{moment.name}: {found[-1].next_step:.2f} s, {found[-1].next_job:.2f} s")
    return figures(found, median(sampled))


async def _hit(
    stack: StackUnderTest, moment: Moment, name: str, *, chance: random.Random
) -> TakeOver:
    """A kill that fell before the moment had passed; a short one may be missed."""
    for number in range(TRIES):
        trial = await _trial(stack, moment, f"{name}-{number}", length=draw(chance))
        if trial.next_step > 0:
            return trial
    raise RuntimeError(f"{moment.name}: the moment had passed before each of {TRIES} kills")


async def _trial(stack: StackUnderTest, moment: Moment, name: str, *, length: float) -> TakeOver:
    await stack.until_workers_ready()
    prompt = f"{moment.name} {name}, first"
    service, rule = moment.rule(prompt, length)
    await stack.vendors[service].arm({"rules": [rule]})
    async with asyncio.timeout(TRIAL_SECONDS):
        first = await stack.submit(prompt)
        # With two workers the second one could ask before the first, and find the slot free.
        await slot.until(stack, lambda view: first in slot.holders(view), every=0.01)
        second = await stack.submit(f"{moment.name} {name}, second")
        at = kill(await moment.reach(stack, first, length))
        for job in (first, second):
            await _closed(stack, job)
    await stack.vendors[service].disarm(rule["name"])
    return await _measured(stack, moment, (first, second), at=at)


async def _closed(stack: StackUnderTest, job: str) -> None:
    try:
        await stack.client.get_workflow_handle(job).result()
    except WorkflowFailureError as failure:
        raise AssertionError(f"{job} failed: {failure.cause}") from failure


async def _measured(
    stack: StackUnderTest, moment: Moment, jobs: tuple[str, str], *, at: float
) -> TakeOver:
    first, second = jobs
    run = read(Execution, summarise(first, await stack.temporal.history(first) or ()))
    rows = {step: await stack.rows(step, first) for step in ("image", "video")}
    [after] = await stack.rows("image", second)
    begun = float(instant(after["accepted_at"]) or 0.0)
    return TakeOver(
        moment=moment.name,
        next_step=_next_step(moment, run, rows) - at,
        next_job=begun - at - service_after(at, [*rows["image"], *rows["video"]]),
    )


def _next_step(moment: Moment, run: Execution, rows: dict[str, list[dict[str, Any]]]) -> float:
    """What the outside sees next of the job itself."""
    match moment.name:
        case "image running":
            return float(instant(rows["video"][0]["accepted_at"]) or 0.0)
        case "video being submitted":
            return _ended(run.activities, "request_video")
        case _:
            # The video is stored in the job's last workflow task.
            return run.closed or 0.0


def _ended(activities: Sequence[Activity], kind: str) -> float:
    return max(a.ended or 0.0 for a in activities if a.kind == kind and a.outcome == "completed")


def service_after(at: float, rows: Sequence[dict[str, Any]]) -> float:
    """The vendors' own time for what was begun after an instant."""
    spans = [(instant(row["accepted_at"]), instant(row["finished_at"])) for row in rows]
    return sum(end - begin for begin, end in spans if begin and end and begin > at)


def figures(found: Sequence[TakeOver], hop: float) -> list[Figure]:
    """The table's lines: the median of each moment, beside the worst that was seen."""
    lines = [Figure(part=PART, name="plain hop, p50", unit="ms", values=milliseconds([hop]))]
    for name in dict.fromkeys(each.moment for each in found):
        trials = [each for each in found if each.moment == name]
        lines.append(_line(f"{name}: next step", [each.next_step for each in trials]))
        lines.append(_line(f"{name}: next job", [each.next_job for each in trials]))
    return lines


def _line(name: str, seconds: Sequence[float]) -> Figure:
    values = tuple(round(value, 3) for value in seconds)
    return Figure(part=PART, name=name, unit="s", values=values, worst=True)
