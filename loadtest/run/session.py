"""One run from reachability to raw records, its faults, and the replay of its histories."""

import asyncio
import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

from rich.console import Console

from loadtest.books import raw, seal
from loadtest.books.raw import RunFolder
from loadtest.run.plan import Plan, PlanError
from loadtest.run.progress import display
from loadtest.run.run import Run, open_stack
from loadtest.settings import Settings
from loadtest.wire.http import Http, Unreachable
from loadtest.wire.processes import MOCKS
from loadtest.wire.temporal import Temporal
from loadtest.wire.vendor import Refused, Vendor
from shared.jobs.genvideo import GENVIDEO
from shared.pipeline.definition import Definition


async def run_plan(
    settings: Settings, plan: Plan, *, command: str, console: Console
) -> tuple[RunFolder, str]:
    """Run a plan; the folder, and `done` or why it ended sooner.

    Raises NotReachable before anything is started, PlanError where a mock refuses the faults.
    """
    pipeline = settings.known[plan.pipeline]
    temporal, version = await preflight(settings, pipeline)
    stop = asyncio.Event()
    stop_on_interrupt(stop)
    async with (
        open_stack(settings, temporal, version, pipeline) as stack,
        armed(stack.vendors, plan.faults, seed=plan.seed),
    ):
        run = Run(stack, plan, command=command)
        folder = await run.go(display(console, plan.stages), stop)
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


class NotReachable(Exception):
    """What of the stack did not answer, a line each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


async def preflight(settings: Settings, pipeline: Definition = GENVIDEO) -> tuple[Temporal, str]:
    """Return Temporal's client and the server's version; raise NotReachable for all that is not."""
    needed = [
        ("api", settings.api_url, "/readyz"),
        ("callback", settings.callback_url, "/healthz"),
    ]
    needed += [
        (MOCKS.get(vendor, f"mock-{vendor}"), url, "/admin/stats")
        for vendor, url in settings.mocks_of(pipeline).items()
    ]
    problems: list[str] = []
    temporal: list[tuple[Temporal, str]] = []

    async def server() -> None:
        client = await Temporal.connect(settings)
        temporal.append((client, await client.server_version()))

    await asyncio.gather(
        _noted("temporal", server, problems),
        *(
            _noted(name, lambda url=url, path=path: _answers(url, path), problems)  # type: ignore[misc]
            for name, url, path in needed
        ),
    )
    if problems:
        raise NotReachable(sorted(problems))
    return temporal[0]


async def _noted(name: str, ask: Callable[[], Awaitable[None]], problems: list[str]) -> None:
    try:
        await ask()
    except Unreachable as error:
        problems.append(f"{name}: {error}")


async def _answers(url: str, path: str) -> None:
    async with Http(url, timeout=5) as http:
        await http.read(path)


@contextlib.asynccontextmanager
async def armed(
    vendors: Sequence[Vendor], plans: Sequence[str], *, seed: int
) -> AsyncIterator[None]:
    """Keep these fault plans in force; raises PlanError with everything a mock objects to.

    Only rules that are ours are removed: what a user armed before stays armed.
    """
    before = {vendor.name: set(await vendor.rules()) for vendor in vendors} if plans else {}
    try:
        # One mock may have taken a plan that the other one refuses: it is disarmed all the same.
        await _arm(vendors, plans, seed=seed)
        yield
    finally:
        for vendor in vendors if plans else ():
            with contextlib.suppress(Unreachable):
                for rule in set(await vendor.rules()) - before[vendor.name]:
                    await vendor.disarm(rule)


async def _arm(vendors: Sequence[Vendor], plans: Sequence[str], *, seed: int) -> None:
    problems = []
    for plan in plans:
        for vendor in vendors:
            try:
                await vendor.arm(_seeded(plan, seed))
            except Refused as error:
                problems.append(str(error))
    if problems:
        raise PlanError(problems)


def _seeded(plan: str, seed: int) -> dict[str, Any]:
    """Return a single rule as a plan; the run's seed decides which jobs it meets."""
    body: dict[str, Any] = json.loads(plan)
    if not {"rules", "preset"} & body.keys():
        body = {"rules": [body]}
    return {"seed": seed, **body}


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
