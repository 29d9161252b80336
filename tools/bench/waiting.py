"""Hand-over while many wait: the queue is filled while the slot is paused, a window is measured."""

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median

from loadtest.settings import Settings
from loadtest.times import instant
from loadtest.wire.processes import Processes, addresses
from tests.fixtures.processes import MEGABYTE, resident_megabytes
from tools.bench.stack import StackUnderTest, hops
from tools.bench.table import Figure, milliseconds

PART = "waiting"
SETTLE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Level:
    """What was seen with so many waiting; rates a second, seconds, megabytes."""

    waiting: int
    submitted: float
    taken_in: float
    hop: float
    hand_overs: tuple[float, ...]
    memory: dict[str, float]


async def measure(
    stack: StackUnderTest, levels: Sequence[int], *, window: int, note: Callable[[str], None]
) -> list[Figure]:
    """One level after the other on the same stack; what waits at the end is left waiting."""
    await stack.pause(True)
    found = [await _level(stack, 0, window=0)]
    for waiting in levels:
        found.append(await _level(stack, waiting, window=window))
        note(f"{_count(waiting)} waiting: {median(found[-1].hand_overs) * 1000:.1f} ms")
    return figures(found)


async def _level(stack: StackUnderTest, waiting: int, *, window: int) -> Level:
    missing = waiting + window - await stack.waiting() if window else 0
    submitted, taken_in = await _fill(stack, missing) if missing > 0 else (0.0, 0.0)
    # What was just submitted is still being written down by everybody; that is another figure.
    await asyncio.sleep(SETTLE_SECONDS if window else 0)
    async with hops(stack.client, stack.temporal) as sampled:
        hand_overs = await _window(stack, window) if window else ()
    memory = await resident(stack.settings)
    return Level(waiting, submitted, taken_in, median(sampled), hand_overs, memory)


async def _fill(stack: StackUnderTest, count: int) -> tuple[float, float]:
    """Submission so many; how many a second the API took, and the semaphore had in its queue."""
    before, began = await stack.waiting(), time.monotonic()
    await stack.submit_all("waiting", count)
    taken = time.monotonic()
    await stack.until(lambda view: view["waiting_count"] >= before + count, every=0.2)
    return count / (taken - began), count / (time.monotonic() - began)


async def _window(stack: StackUnderTest, window: int) -> tuple[float, ...]:
    """Let so many run; the seconds from each one's close to the next one's image accepted."""
    left, began = await stack.waiting() - window, time.time()
    await stack.pause(False)
    await stack.until(lambda view: view["waiting_count"] <= left, every=0.5)
    await stack.pause(True)
    await stack.until(lambda view: not view["holders"], every=0.1)
    rows = await stack.vendors["image"].ledger()
    accepted = sorted((instant(row["accepted_at"]) or 0.0, _job(row)) for row in rows)
    ours = [(at, job) for at, job in accepted if at >= began]
    return tuple([at - await _closed(stack, before) for (_, before), (at, _) in pairwise(ours)])


def _job(row: dict[str, object]) -> str:
    return str(row.get("external_id")).rpartition(".image.")[0]


async def _closed(stack: StackUnderTest, job: str) -> float:
    closed = (await stack.client.get_workflow_handle(job).describe()).close_time
    if closed is None:
        raise RuntimeError(f"{job} is still open, and another one has begun")
    return closed.timestamp()


def figures(found: Sequence[Level]) -> list[Figure]:
    """The table's lines, from the empty stack and each level."""
    empty, *filled = found
    lines = [line for level in filled for line in _of_level(level)]
    first, last = filled[0], filled[-1]
    name = f"hand-over, {_count(last.waiting)} waiting / {_count(first.waiting)} waiting"
    ratio = median(last.hand_overs) / median(first.hand_overs)
    lines.append(_ratio(name, ratio))
    lines.append(_ratio(f"{name}, each in its own plain hops", ratio * first.hop / last.hop))
    for process, before in empty.memory.items():
        for level in (empty, last):
            name = f"memory of {process}, {_count(level.waiting)} waiting"
            value = level.memory.get(process, before)
            lines.append(Figure(part=PART, name=name, unit="MB", values=(round(value, 1),)))
    return lines


def _of_level(level: Level) -> list[Figure]:
    count = _count(level.waiting)
    return [
        Figure(
            part=PART,
            name=f"hand-over, {count} waiting, p50",
            unit="ms",
            values=milliseconds([median(level.hand_overs)]),
            hops=milliseconds([level.hop]),
        ),
        _rate(f"submissions taken by the API, up to {count}", level.submitted),
        _rate(f"the same, until the semaphore has them, up to {count}", level.taken_in),
    ]


def _ratio(name: str, value: float) -> Figure:
    return Figure(part=PART, name=name, unit="", values=(round(value, 3),))


def _rate(name: str, value: float) -> Figure:
    return Figure(part=PART, name=name, unit="1/s", values=(round(value, 1),))


def _count(number: int) -> str:
    return f"{number:,}".replace(",", " ")


_LISTENING = "0A"


async def resident(settings: Settings) -> dict[str, float]:
    """Megabytes by the name of the process; one that can't be read is left out."""
    wanted = {n: url for n, url in addresses(settings).items() if n == "semaphore" or "worker" in n}
    processes = Processes(wanted)
    try:
        rows = await processes.sample()
    finally:
        await processes.close()
    found = {str(row["name"]): row["rss"] / MEGABYTE for row in rows if row["name"] in wanted}
    pid = listener(int(settings.temporal_address.rpartition(":")[2]))
    return found | ({"server": resident_megabytes(pid)} if pid else {})


def listener(port: int) -> int | None:
    """The process that listens on a port of this machine, where that may be seen."""
    sockets = {f"socket:[{inode}]" for inode in _inodes(port)}
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            target = str(link.readlink())
        except OSError:
            continue
        if target in sockets:
            return int(link.parts[2])
    return None


def _inodes(port: int) -> Iterator[str]:
    for table in ("tcp", "tcp6"):
        path = Path("/proc/net") / table
        for line in path.read_text(encoding="ascii").splitlines()[1:] if path.is_file() else ():
            fields = line.split()
            if fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                yield fields[9]
