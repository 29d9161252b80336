"""A whole run: stage after stage, then the books; whatever happens, raw records are complete."""

import asyncio
import contextlib
import os
import platform
import secrets
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from loadtest.books import raw, seal
from loadtest.books.raw import RunFolder
from loadtest.collect.collector import Collector, probe
from loadtest.run.plan import Plan
from loadtest.run.progress import Display
from loadtest.run.stage import AWAY_SECONDS, SAMPLE_SECONDS, Stage, background
from loadtest.settings import Settings
from loadtest.wire.http import Unreachable
from loadtest.wire.processes import Processes, addresses
from loadtest.wire.stack import Stack
from shared.files import digest

ROOT = Path(__file__).parents[2]
PROCESS_SECONDS = 2.0


class Run:
    def __init__(self, stack: Stack, plan: Plan, *, command: str) -> None:
        self._stack, self._plan, self._command = stack, plan, command
        # It sorts by time, and does not repeat within a second.
        self.run_id = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
        self.folder = RunFolder.create(stack.settings.reports_dir, self.run_id)
        self.why = "done"
        settings = stack.settings
        tokens = {"api": settings.api_token, "callback": settings.operator_key}
        self._processes = Processes(addresses(settings), tokens=tokens)

    async def go(self, display: Display, stop: asyncio.Event) -> RunFolder:
        """Run all stages and collect all books; `why` says how it ended."""
        began, vendors = time.time(), self._stack.vendors
        if self._plan.reset:
            for vendor in vendors:
                await vendor.reset()
        facts = await self._facts(began, stop)
        # First, and as unfinished: what a killed process leaves can be judged, and does not pass.
        self.folder.write(raw.RUN, facts)
        self.folder.append(raw.CLOCKS, await probe(vendors, "begin"))
        stages: list[Stage] = []
        async with background(self._watch_processes()):
            for number in range(len(self._plan.stages)):
                stages.append(Stage(self.folder, self._plan, self._stack, number=number))
                await stages[-1].run(display, stop)
                if stages[-1].why.startswith(("interrupted", "unreachable")):
                    break
        self.why = stages[-1].why
        self.folder.append(raw.CLOCKS, await probe(vendors, "end"))
        collector = Collector(self.folder, self._stack)
        await collector.collect([(each.number, each.tracker) for each in stages], since=began)
        facts |= {"ended_at": time.time(), "why": self.why, "unread": collector.problems}
        self.folder.write(raw.RUN, facts)
        seal.write(self.folder)
        return self.folder

    async def _watch_processes(self) -> None:
        """Note what each process uses: every two seconds at first, seldom in a long run."""
        pause = PROCESS_SECONDS
        try:
            while True:
                self.folder.append(raw.PROCESSES, await self._processes.sample())
                await asyncio.sleep(pause)
                pause = min(pause * 1.01, 15 * PROCESS_SECONDS)
        finally:
            await self._processes.close()

    async def _facts(self, began: float, stop: asyncio.Event) -> dict[str, Any]:
        return {
            **await facts(self._stack, self._plan, self._command),
            "run_id": self.run_id,
            "began_at": began,
            "code": await self._code(),
            "limit": await self._limit(stop),
            "vendors_before": await answers(self._stack, "/admin/stats"),
            "why": "unfinished",
        }

    async def _code(self) -> dict[str, Any]:
        """Read the digests of the packages that the services run, and of the checkout's."""
        services = await self._processes.code()
        names = {name for packages in services.values() for name in packages}
        folders = {name: name.replace(".", "/") for name in sorted(names)}
        ours = {
            name: digest(ROOT, [path]) for name, path in folders.items() if (ROOT / path).is_dir()
        }
        return {"services": services, "checkout": ours}

    async def _limit(self, stop: asyncio.Event) -> int | None:
        """Return the limit that the whole run is held against; wait for a semaphore that does not
        know it yet, because it is rebuilding."""
        until = time.monotonic() + AWAY_SECONDS
        while True:
            with contextlib.suppress(Unreachable):
                slots = await self._stack.api.read("/slots")
                if not slots.get("rebuilding"):
                    limit = slots.get("limit")
                    return limit if isinstance(limit, int) else None
            if stop.is_set() or time.monotonic() > until:
                return None
            await asyncio.sleep(SAMPLE_SECONDS)


async def facts(stack: Stack, plan: Plan, command: str) -> dict[str, Any]:
    """Return what `run.json` has of a plan and of the stack it is run against."""
    pipeline, noted = stack.pipeline, plan.model_dump()
    if "on_video_failure" not in pipeline.input.model_fields:
        noted["on_video_failure"] = None
    return {
        "schema": raw.SCHEMA,
        "command": command,
        "plan": noted,
        "pipeline": pipeline.name,
        "stages": [
            {"name": each.name, "vendor": each.vendor, "called_back": each.called_back}
            for each in pipeline.stages
        ],
        "mocks": [each.name for each in stack.vendors],
        "temporal_ui": stack.settings.temporal_ui_url,
        "namespace": stack.temporal.namespace,
        "environment": environment(await stack.temporal.server(), stack.settings),
        "faults": await answers(stack, "/admin/faults"),
    }


async def answers(stack: Stack, path: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for vendor in stack.vendors:
        with contextlib.suppress(Unreachable):
            found[vendor.name] = await vendor.read(path)
    return found


def environment(server: dict[str, Any], settings: Settings) -> dict[str, Any]:
    """Return what is known of this machine, of the versions in play, and of the store."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        **server,
        "sdk": version("temporalio"),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(memory / 2**30, 1),
        "load_before": round(os.getloadavg()[0], 2),
        "store": "bucket" if settings.store_dir is None else "folder",
        # The commit, as the stack script says, because a container has no git.
        "code": os.environ.get("GIT_COMMIT", "unknown"),
    }
