"""One run from reachability to raw records; faults are in force exactly as long as it lasts."""

import asyncio
import signal

from rich.console import Console

from loadtest.books.raw import RunFolder
from loadtest.run.faults import armed
from loadtest.run.plan import Plan
from loadtest.run.preflight import preflight
from loadtest.run.progress import display
from loadtest.run.run import Run, open_stack
from loadtest.settings import Settings


async def run_plan(
    settings: Settings, plan: Plan, *, command: str, console: Console
) -> tuple[RunFolder, str]:
    """Run a plan; the folder, and `done` or why it ended sooner.

    Raises NotReachable before anything is started, PlanError where a mock refuses the faults.
    The first interrupt ends the run in good order, the second one ends the process.
    """
    temporal, version = await preflight(settings)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def interrupted() -> None:
        stop.set()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupted)
    async with (
        open_stack(settings, temporal, version) as stack,
        armed(stack.vendors, plan.faults, seed=plan.seed),
    ):
        run = Run(stack, plan, command=command)
        folder = await run.go(display(console, plan.stages), stop)
    return folder, run.why
