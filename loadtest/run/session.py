"""One run from reachability to raw records, its faults, and the replay of its histories."""

import asyncio
import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterable, Sequence
from itertools import product
from typing import Any

from rich.console import Console

from loadtest.books import raw, seal
from loadtest.books.raw import RunFolder
from loadtest.run.plan import Plan, PlanError
from loadtest.run.progress import Display
from loadtest.run.run import Run
from loadtest.settings import Settings
from loadtest.wire.http import Unreachable
from loadtest.wire.stack import open_stack, preflight
from loadtest.wire.vendor import Refused, Vendor


async def run_plan(
    settings: Settings, plan: Plan, *, command: str, console: Console
) -> tuple[RunFolder, str]:
    """Run a plan; the folder, and `done` or why it ended sooner.

    Raises NotReachable before anything is started, PlanError where a mock refuses the faults.
    """
    pipeline = settings.known[plan.pipeline]
    temporal = await preflight(settings, pipeline)
    stop = asyncio.Event()
    stop_on_interrupt(stop)
    async with (
        open_stack(settings, temporal, pipeline) as stack,
        armed(stack.vendors, plan.faults, seed=plan.seed) as earlier,
    ):
        run = Run(stack, plan, command="\n".join([*earlier, command]))
        folder = await run.go(Display(console, plan.stages), stop)
    return folder, run.why


def stop_on_interrupt(stop: asyncio.Event) -> None:
    """End the run in good order at the first interrupt, and the process at the second one.

    SIGTERM and SIGINT count apart, because a SIGTERM of a whole process group comes once as it is,
    and once as the SIGINT that `make test-N` makes of it.
    """
    loop = asyncio.get_running_loop()

    def interrupted(number: signal.Signals) -> None:
        stop.set()
        loop.remove_signal_handler(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupted, number)


@contextlib.asynccontextmanager
async def armed(
    vendors: Sequence[Vendor], plans: Sequence[str], *, seed: int
) -> AsyncIterator[list[str]]:
    """Keep these fault plans in force, and yield the lines that arm again what a user had armed.

    Only our rules are removed. The run's seed decides which jobs they meet. Raises PlanError with
    everything a mock objects to.
    """
    before = {vendor: await vendor.rules() for vendor in vendors}
    users = {name: rule for rules in before.values() for name, rule in rules.items()}
    problems = []
    try:
        for plan, vendor in product(plans, vendors):
            try:
                await vendor.arm({"seed": seed, **json.loads(plan)})
            except Refused as error:
                problems.append(str(error))
        if problems:
            raise PlanError(problems)
        yield [_arming(seed, users.values()) for seed in {r.get("seed") for r in users.values()}]
    finally:
        # One mock may have taken a plan that the other one refuses: it is disarmed all the same.
        for vendor, rules in before.items() if plans else ():
            with contextlib.suppress(Unreachable):
                for rule in (await vendor.rules()).keys() - rules.keys():
                    await vendor.disarm(rule)


def _arming(seed: object, rules: Iterable[dict[str, Any]]) -> str:
    counts = ("seed", "fired", "spent", "applies")
    bare = [
        {key: rule[key] for key in rule if key not in counts}
        for rule in rules
        if rule.get("seed") == seed
    ]
    plan = json.dumps({"seed": seed, "rules": bare}, ensure_ascii=False)
    return f"make fault RULE={shlex.quote(plan)}"


def command(seed: int) -> str:
    """Return the line of make that ran this program (`MAKE_LINE`), or else the program's own."""
    if line := os.environ.get("MAKE_LINE"):
        return line if " SEED=" in line else f"{line} SEED={seed}"
    line = shlex.join([sys.executable, "-m", "loadtest", *sys.argv[1:]])
    return line if " --seed" in line else f"{line} --seed {seed}"


SECONDS = 600


def replay(folder: RunFolder, command: str) -> dict[str, Any]:
    """Run `command` with the folder of histories behind it, and note what it printed.

    Its last line is `{"replayed": n, "failures": {job_id: why}}`; anything else is a failure.
    """
    found = _replayed([*shlex.split(command), str(folder.histories)])
    found["kept"] = sum(1 for _ in folder.histories.glob("*.json"))
    folder.write(raw.REPLAY, found)
    seal.add(folder, folder.raw / raw.REPLAY)
    return found


def _replayed(command: list[str]) -> dict[str, Any]:
    try:
        ended = subprocess.run(  # noqa: S603 - the user's own command
            command, capture_output=True, text=True, timeout=SECONDS, check=False
        )
        body = json.loads((ended.stdout.splitlines() or [""])[-1])
        return {"replayed": int(body["replayed"]), "failures": dict(body["failures"])}
    except (OSError, subprocess.TimeoutExpired) as error:
        return {"replayed": 0, "failures": {"": str(error)}}
    except (ValueError, KeyError, TypeError):
        said = (ended.stderr or ended.stdout).strip().splitlines()
        return {"replayed": 0, "failures": {"": f"status {ended.returncode}: {said[-1:]}"}}
