"""Many jobs at once, each with a trouble of its own: their pauses overlap, their books don't."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from temporalio.client import Client

from shared.jobs.messages import Record
from shared.jobs.states import Step
from shared.semaphore.messages import CHANGE_UPDATE, JOB_GATE, SlotChange, semaphore_id
from tests.services.mock_core.serving import Json, Service
from tests.workflow.pipeline import Pipeline, working
from tests.workflow.scenarios import Scenario, armed

# One process does the work of six services here.
AT_ONCE = 10


@dataclass
class Crowd:
    """The jobs of some scenarios, by the scenario's name."""

    line: Pipeline
    jobs: dict[str, str]

    async def record(self, name: str) -> Record:
        """The record at the end of one scenario's job."""
        return await self.line.ended(self.jobs[name])

    def service(self, step: Step) -> Service:
        return {Step.IMAGE: self.line.images, Step.VIDEO: self.line.videos}[step]

    async def rows(self, name: str, step: Step) -> list[Json]:
        """One service's ledger rows of one scenario's job."""
        rows = await self.service(step).json("/admin/ledger")
        return [row for row in rows if row["external_id"].startswith(self.jobs[name])]

    async def turned_away(self, name: str, step: Step) -> int:
        """How many submits of one scenario's job its vendor has not taken."""
        trace = (await self.service(step).json("/admin/trace"))["rows"]
        return sum(
            row["where"] == "submit" and row["do"] in ("refuse", "reset")
            for row in trace
            if (row["external_id"] or "").startswith(self.jobs[name])
        )


@contextlib.asynccontextmanager
async def crowd_of(
    scenarios: dict[str, Scenario], client: Client, data_dir: Path, **settings: Any
) -> AsyncIterator[Crowd]:
    """All scenarios' jobs under way, through a wide gate."""
    async with working(client, data_dir, **settings) as line:
        semaphore = client.get_workflow_handle(semaphore_id(JOB_GATE))
        await line.free()
        await semaphore.execute_update(CHANGE_UPDATE, SlotChange(limit=AT_ONCE))
        await line.images.arm(*armed(scenarios, Step.IMAGE))
        await line.videos.arm(*armed(scenarios, Step.VIDEO))
        jobs = {
            name: await line.submit(name, **scenario.fields) for name, scenario in scenarios.items()
        }
        yield Crowd(line, jobs)
