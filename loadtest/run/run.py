"""A whole run: stage after stage, then the books; whatever happens, raw records are complete."""

import asyncio
import contextlib
import os
import platform
import secrets
import subprocess
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
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
from loadtest.wire.api import Api
from loadtest.wire.http import Http, Unreachable
from loadtest.wire.processes import Processes, addresses
from loadtest.wire.temporal import Temporal
from loadtest.wire.vendor import Vendor
from shared.files import digest
from shared.jobs.genvideo import GENVIDEO
from shared.pipeline.definition import Definition

ROOT = Path(__file__).parents[2]
PROCESS_SECONDS = 2.0


def new_run_id() -> str:
    """Return a name that sorts by time and does not repeat within a second."""
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


@dataclass(slots=True)
class Stack:
    """Everything that a run talks to."""

    settings: Settings
    api: Api
    receiver: Http
    vendors: tuple[Vendor, ...]
    temporal: Temporal
    server_version: str
    pipeline: Definition


@contextlib.asynccontextmanager
async def open_stack(
    settings: Settings, temporal: Temporal, version: str, pipeline: Definition = GENVIDEO
) -> AsyncIterator[Stack]:
    """Open connections to the stack, and to the mocks of a pipeline, for as long as a run lasts."""
    async with contextlib.AsyncExitStack() as exits:
        api = await exits.enter_async_context(
            Http(settings.api_url, timeout=30, token=settings.api_token)
        )
        receiver = await exits.enter_async_context(
            Http(settings.callback_url, token=settings.operator_key)
        )
        vendors = [
            Vendor(await exits.enter_async_context(Http(url, timeout=60)), vendor)
            for vendor, url in settings.mocks_of(pipeline).items()
        ]
        yield Stack(settings, Api(api), receiver, tuple(vendors), temporal, version, pipeline)


class Run:
    """One run of a plan against a stack."""

    def __init__(self, stack: Stack, plan: Plan, *, command: str) -> None:
        self._stack, self._plan, self._command = stack, plan, command
        self.run_id = new_run_id()
        self.folder = RunFolder.create(stack.settings.reports_dir, self.run_id)
        self.why = "done"
        settings = stack.settings
        tokens = {"api": settings.api_token, "callback": settings.operator_key}
        self._processes = Processes(addresses(settings), tokens=tokens)

    async def go(self, display: Display, stop: asyncio.Event) -> RunFolder:
        """Run all stages and collect all books; `why` says how it ended."""
        began = time.time()
        facts = await self._facts(began, stop)
        # First, and as unfinished: what a killed process leaves can be judged, and does not pass.
        self.folder.write(raw.RUN, facts)
        self.folder.append(raw.CLOCKS, await probe(self._stack.vendors, "begin"))
        stages: list[Stage] = []
        try:
            async with background(self._watch_processes()):
                for number in range(len(self._plan.stages)):
                    stages.append(self._stage(number))
                    await stages[-1].run(display, stop)
                    if stages[-1].why.startswith(("interrupted", "unreachable")):
                        break
        finally:
            display.close()
        self.why = stages[-1].why
        self.folder.append(raw.CLOCKS, await probe(self._stack.vendors, "end"))
        problems = await self._collect(stages, began)
        facts |= {"ended_at": time.time(), "why": self.why, "unread": problems}
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

    async def _code(self) -> dict[str, Any]:
        """Read the digests of the packages that the services run, and of the checkout's."""
        services = await self._processes.code()
        names = {name for packages in services.values() for name in packages}
        folders = {name: name.replace(".", "/") for name in sorted(names)}
        there = {name: path for name, path in folders.items() if (ROOT / path).is_dir()}
        ours = {name: digest(ROOT, [path]) for name, path in there.items()}
        return {"services": services, "checkout": ours}

    def _stage(self, number: int) -> Stage:
        return Stage(
            self.folder,
            self._plan,
            number=number,
            run_id=self.run_id,
            pipeline=self._stack.pipeline,
            api=self._stack.api,
            api_url=self._stack.settings.api_url,
        )

    async def _collect(self, stages: Sequence[Stage], began: float) -> list[str]:
        collector = Collector(
            self.folder,
            self._stack.api,
            temporal=self._stack.temporal,
            receiver=self._stack.receiver,
            vendors=self._stack.vendors,
            data_dir=self._stack.settings.store_dir,
            stages=self._stack.pipeline.names,
        )
        await collector.collect([(s.number, s.tracker) for s in stages], since=began)
        return collector.problems

    async def _facts(self, began: float, stop: asyncio.Event) -> dict[str, Any]:
        settings = self._stack.settings
        if self._plan.reset:
            for vendor in self._stack.vendors:
                await vendor.reset()
        return {
            "schema": raw.SCHEMA,
            "run_id": self.run_id,
            "command": self._command,
            "plan": self._plan.model_dump() | self._unasked(),
            "pipeline": self._stack.pipeline.name,
            "stages": stages_of(self._stack.pipeline),
            "began_at": began,
            "mocks": [each.name for each in self._stack.vendors],
            "temporal_ui": settings.temporal_ui_url,
            "namespace": self._stack.temporal.namespace,
            "environment": environment(self._stack.server_version),
            "code": await self._code(),
            "faults": await self._faults(),
            "limit": await self._limit(stop),
            "vendors_before": await self._totals(),
            "why": "unfinished",
        }

    def _unasked(self) -> dict[str, None]:
        """Return what the plan has, and the input of these jobs has not."""
        known = "on_video_failure" in self._stack.pipeline.input.model_fields
        return {} if known else {"on_video_failure": None}

    async def _limit(self, stop: asyncio.Event) -> int | None:
        """Return the limit that the whole run is held against; wait for a semaphore that does not
        know it yet, because it is rebuilding."""
        until = time.monotonic() + AWAY_SECONDS
        while not stop.is_set() and time.monotonic() < until:
            with contextlib.suppress(Unreachable):
                slots = await self._stack.api.slots()
                if not slots.get("rebuilding"):
                    limit = slots.get("limit")
                    return limit if isinstance(limit, int) else None
            await asyncio.sleep(SAMPLE_SECONDS)
        return None

    async def _totals(self) -> dict[str, Any]:
        """Return what the vendors had counted before the run."""
        found: dict[str, Any] = {}
        for vendor in self._stack.vendors:
            with contextlib.suppress(Unreachable):
                found[vendor.name] = await vendor.stats()
        return found

    async def _faults(self) -> dict[str, Any]:
        armed: dict[str, Any] = {}
        for vendor in self._stack.vendors:
            try:
                armed[vendor.name] = await vendor.faults()
            except Unreachable as error:
                armed[vendor.name] = {"unread": str(error)}
        return armed


def stages_of(pipeline: Definition) -> list[dict[str, Any]]:
    """Return the stages of a job in their order, as `run.json` has them."""
    return [
        {"name": each.name, "vendor": each.vendor, "called_back": each.called_back}
        for each in pipeline.stages
    ]


def environment(server_version: str) -> dict[str, Any]:
    """Return what is known of this machine and of the versions in play."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "server": server_version,
        "sdk": version("temporalio"),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(memory / 2**30, 1),
        "load_before": round(os.getloadavg()[0], 2),
        "code": _commit(),
    }


def _commit() -> str:
    """Return the commit of the code: named by the image's build, or read from git."""
    named = os.environ.get("GIT_COMMIT")
    if named:
        return named
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12"],  # noqa: S607 - from the path
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return found.stdout.strip() or "unknown"
