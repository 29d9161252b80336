"""`python -m tools.bench PART`: one part against a running stack, or the table of all."""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from loadtest.run.run import environment
from loadtest.settings import Settings
from loadtest.times import timestamp
from loadtest.wire.stack import NotReachable
from shared.process_exit import run_and_exit
from tools.bench import flood, handover, intake, table, takeover, throughput, waiting
from tools.bench.stack import StackUnderTest, open_stack
from tools.bench.table import Figure, Part, read, write

NOT_REACHABLE, USAGE = 3, 2
PARTS = (
    handover.PART,
    takeover.PART,
    waiting.PART,
    intake.PART,
    flood.PART,
    throughput.PART,
)

app = typer.Typer(no_args_is_help=True, help="Benchmarks of the slot, a part at a time.")
Folder = Annotated[Path, typer.Argument(help="Where the figures are kept.")]
Runs = Annotated[int, typer.Option("--runs", min=1, help="How often; the table shows medians.")]


@app.command(handover.PART)
def hand_over(
    folder: Folder,
    runs: Runs = 5,
    jobs: Annotated[int, typer.Option(min=2, help="Jobs of one run.")] = 100,
) -> None:
    """From a job's close to the next job's image, and where the vendor's idle time goes."""

    async def measure(stack: StackUnderTest) -> list[Figure]:
        return await handover.measure(stack, runs, jobs=jobs, folder=folder, note=_note)

    _run(handover.PART, folder, measure)


@app.command(takeover.PART)
def take_over(
    folder: Folder,
    runs: Runs = 5,
    seed: Annotated[int, typer.Option(help="Draws when each kill falls.")] = 0,
    moment: Annotated[str, typer.Option(help="This moment alone, such as 'closing'.")] = "",
) -> None:
    """Kill -9 of the holder's worker in each stage; needs two workers on this machine."""

    async def measure(stack: StackUnderTest) -> list[Figure]:
        return await takeover.measure(
            stack, runs, seed=seed or int(time.time()), only=moment, note=_note
        )

    if moment and moment not in takeover.NAMES:
        _fail(f"--moment: '{moment}' is not one of: {', '.join(takeover.NAMES)}", USAGE)
    _run(takeover.PART, folder, measure)


@app.command(waiting.PART)
def long_queue(
    folder: Folder,
    levels: Annotated[str, typer.Option(help="How many wait, rising.")] = "100,1000,10000",
    window: Annotated[int, typer.Option(min=2, help="Jobs that are measured.")] = 40,
) -> None:
    """Hand-over, submissions and memory while many wait; they are left waiting at the end."""
    counts = [int(word) for word in levels.split(",") if word.strip().isdecimal()]
    if counts != sorted(set(counts)) or len(counts) != len(levels.split(",")):
        _fail(f"--levels: '{levels}' is not a rising list such as 100,1000", USAGE)

    async def measure(stack: StackUnderTest) -> list[Figure]:
        return await waiting.measure(stack, counts, window=window, note=_note)

    _run(waiting.PART, folder, measure)


@app.command(intake.PART)
def semaphore_intake(
    folder: Folder,
    runs: Runs = 5,
    single: Annotated[int, typer.Option(min=1, help="Requests sent one by one.")] = 200,
    bulk: Annotated[int, typer.Option(min=1, help="Requests sent in lists.")] = 2_000,
) -> None:
    """How many requests a second the semaphore takes in; they are left in its queue."""

    async def measure(stack: StackUnderTest) -> list[Figure]:
        return await intake.measure(stack, runs, single=single, bulk=bulk, note=_note)

    _run(intake.PART, folder, measure)


@app.command(flood.PART)
def new_jobs(
    folder: Folder,
    jobs: Annotated[int, typer.Option(min=2, help="New jobs that come at once.")] = 2_000,
    calm: Annotated[int, typer.Option(min=2, help="Turns that are measured in peace.")] = 20,
) -> None:
    """What a flood of new jobs costs the holder of the slot; they are left waiting at the end."""

    async def measure(stack: StackUnderTest) -> list[Figure]:
        return await flood.measure(stack, jobs=jobs, calm=calm, note=_note)

    _run(flood.PART, folder, measure)


@app.command(throughput.PART)
def jobs_a_second(
    folder: Folder,
    runs: Runs = 3,
    jobs: Annotated[int, typer.Option(min=1, help="Jobs at each limit of the slot.")] = 100,
) -> None:
    """Jobs a second at limit 50 and 1, beside bare workflows of two activities."""

    async def measure(stack: StackUnderTest) -> list[Figure]:
        return await throughput.measure(stack, runs, jobs=jobs, note=_note)

    _run(throughput.PART, folder, measure)


@app.command("table")
def show(folder: Folder) -> None:
    """Print the table of all parts that were measured, and write bench.json and bench.md."""
    found = read(folder, PARTS)
    if not found:
        _fail(f"{folder} holds no figures", USAGE)
    figures = [figure for part in found.values() for figure in part.figures]
    table.write_table(folder, figures, next(iter(found.values())).environment)
    sys.stdout.write(table.text(figures) + f"\ntable: {folder / 'bench.md'}\n")


def _run(
    part: str, folder: Path, measure: Callable[[StackUnderTest], Awaitable[list[Figure]]]
) -> None:
    async def go() -> None:
        async with open_stack(Settings()) as stack:
            facts = {
                "when": timestamp(time.time()),
                **environment(await stack.temporal.server(), stack.settings),
            }
            write(folder, part, Part(environment=facts, figures=tuple(await measure(stack))))

    folder.mkdir(parents=True, exist_ok=True)
    try:
        asyncio.run(go())
    except NotReachable as error:
        _fail("\n".join(f"not reachable: {problem}" for problem in error.problems), NOT_REACHABLE)


def _note(text: str) -> None:
    sys.stdout.write(f"  {text}\n")
    sys.stdout.flush()


def _fail(reason: str, status: int) -> NoReturn:
    sys.stderr.write(reason + "\n")
    raise typer.Exit(status)


if __name__ == "__main__":
    run_and_exit(lambda: app(prog_name="python -m tools.bench"))
