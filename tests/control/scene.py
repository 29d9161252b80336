"""A small real run of one build under one disturbance; what it leaves goes to the checkers."""

import asyncio
import io
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from temporalio.client import Client

from loadtest.books.load import load
from loadtest.books.raw import RunFolder
from loadtest.run.plan import Options
from loadtest.run.progress import Display
from loadtest.run.run import Run, Stack, open_stack
from loadtest.settings import Settings
from loadtest.wire.temporal import Temporal
from tests.chaos import books
from tests.chaos.books import Evidence, grants
from tests.control.builds import Build
from tests.control.disturbances import JOBS, Disturb
from tests.fixtures.processes import serving
from tests.workflow.pipeline import Pipeline, pipeline


@dataclass(frozen=True)
class Scene:
    """A disturbance, and after how many seconds without any change the run is given up."""

    build: Build
    disturb: Disturb
    stall: float = 60.0
    speaks: bool = True
    """Whether its workflows have our code, and so can be queried and replayed."""

    async def play(self, client: Client, folder: Path) -> Evidence:
        """Run the jobs to their end, or until nothing moves any more; then read the books."""
        async with (
            pipeline(client, folder / "data") as line,
            self.build(line) as app,
            serving(app) as api,
            _reached(line, api, folder) as stack,
        ):
            plan = Options(stages=str(JOBS), seed="1", stall=str(self.stall)).plan()
            run = Run(stack, plan, command="the control")
            console = Display(Console(file=io.StringIO()), plan.stages)
            disturbed, _ = await asyncio.gather(
                self.disturb(line), run.go(console, asyncio.Event())
            )
            slots = await self._slots(stack)
            versions = await self._ask(client, run.folder) if self.speaks else {}
            return Evidence(
                load(run.folder),
                slots,
                disturbed=disturbed,
                versions=versions,
                grants=grants(run.folder),
            )

    async def _slots(self, stack: Stack) -> dict[str, Any]:
        """`GET /slots` as soon as nobody holds or waits, or when the run would be given up."""
        until = time.monotonic() + self.stall
        while True:
            slots = await stack.api.slots()
            free = not slots["holders"] and not slots["waiting_count"]
            if free or time.monotonic() > until:
                return slots
            await asyncio.sleep(0.05)

    async def _ask(self, client: Client, folder: RunFolder) -> dict[str, int]:
        """The workflows' own word, while they have a worker; and all histories replayed."""
        jobs = [job.job_id for job in load(folder).jobs]
        versions, unheard = await books.versions(client, jobs)
        assert unheard == []
        await books.semaphore_histories(client, folder)
        await books.replay(folder)
        return versions


@asynccontextmanager
async def _reached(line: Pipeline, api: str, folder: Path) -> AsyncIterator[Stack]:
    """The build as a load test reaches any stack: by addresses, and by its data folder."""
    here = line.settings
    settings = Settings(
        api_url=api,
        callback_url=here.callback_url,
        image_service_url=here.image_service_url,
        video_service_url=here.video_service_url,
        data_dir=here.data_dir,
        reports_dir=folder / "reports",
    )
    temporal = Temporal(line.client, settings.payload_keys)
    async with open_stack(settings, temporal, "test") as stack:
        yield stack
