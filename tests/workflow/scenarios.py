"""Many jobs at once, each with a trouble of its own: their pauses overlap, their books don't."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from temporalio.client import Client

from shared.jobs.messages import Record
from shared.jobs.slots import JOB_GATE
from shared.semaphore.messages import CHANGE_UPDATE, SlotChange, semaphore_id
from tests.services.mock_core.serving import Json, Service
from tests.workflow.pipeline import STEPS, Pipeline, working


@dataclass(frozen=True)
class Scenario:
    """Rules for one of the services, and what the job asks for."""

    step: str
    rules: tuple[Json, ...]
    fields: Json = field(default_factory=dict)


def rule(where: str, do: str, *, often: Json | None = None, **params: Any) -> Json:
    return {"where": where, "do": do, "with": params, "often": often or {}}


FIRST_TWO: Json = {"first": 2}
FIRST: Json = {"first": 1}
FIRST_ATTEMPT: Json = {"attempts": 1}

# By name: rules that hold for the stage that is put behind the name.
FOR_EITHER_STAGE: dict[str, tuple[Json, ...]] = {
    "fails once": (rule("start", "fail", often={"attempts": "1"}),),
    "fails three times": (rule("start", "fail", often={"attempts": "1-3"}),),
    "fails always": (rule("start", "fail", message="out of luck"),),
    "refused for good": (rule("submit", "refuse", code=1301, status=400, message="risky content"),),
    "503 twice": (rule("submit", "refuse", often=FIRST_TWO, status=503, retry_after=0),),
    "full twice": (
        rule("submit", "refuse", often=FIRST_TWO, code=1303, status=429, retry_after=0),
    ),
    "500 twice": (rule("submit", "refuse", often=FIRST_TWO, status=500),),
    "reset twice": (rule("submit", "reset", often=FIRST_TWO),),
    "reply lost": (rule("submit", "lose-reply", often=FIRST, how="reset"),),
    "reply lost as 504": (rule("submit", "lose-reply", often=FIRST, how="504"),),
    "reply lost as 500": (rule("submit", "lose-reply", often=FIRST, how="500"),),
    "file truncated": (rule("result", "truncate", often=FIRST_ATTEMPT),),
    "file empty": (rule("result", "empty", often=FIRST_ATTEMPT),),
    "file gone": (rule("result", "refuse", often=FIRST_ATTEMPT, status=404),),
    "file truncated at first": (rule("result", "truncate", often=FIRST),),
    "file reset at first": (rule("result", "reset", often=FIRST),),
    "file 503 at first": (rule("result", "refuse", often=FIRST, status=503),),
    "file 503": (rule("result", "refuse", often=FIRST_ATTEMPT, status=503),),
    "forgotten": (rule("start", "vanish", often=FIRST_ATTEMPT, at=50),),
    "polls fail": (rule("poll", "refuse", often={"first": 3}, status=500),),
}
STORM = (
    rule("submit", "lose-reply", often={"probability": 0.3}),
    rule("start", "fail", often={"probability": 0.3}),
    rule("poll", "reset", often={"probability": 0.2}),
    rule("result", "truncate", often={"probability": 0.2}),
)
DEGRADES: Json = {"on_video_failure": "image"}

ALL: dict[str, Scenario] = {
    **{
        f"{step} {name}": Scenario(step, rules)
        for step in STEPS
        for name, rules in FOR_EITHER_STAGE.items()
    },
    "video fails always, image will do": Scenario(
        "video", FOR_EITHER_STAGE["fails always"], DEGRADES
    ),
    "video refused, image will do": Scenario(
        "video", (rule("submit", "refuse", code=1102),), DEGRADES
    ),
    **{f"{step} storm": Scenario(step, STORM) for step in STEPS},
}


def armed(scenarios: dict[str, Scenario], step: str) -> list[Json]:
    """The rules for one service, each bound to the prompt that names its scenario."""
    return [
        {**each, "match": {"prompt": name, "external_id": f"*.{step}.*"}}
        for name, scenario in scenarios.items()
        if scenario.step == step
        for each in scenario.rules
    ]


# One process does the work of six services here.
AT_ONCE = 10


@dataclass
class Crowd:
    """The jobs of some scenarios, by the scenario's name."""

    line: Pipeline
    jobs: dict[str, str]

    async def record(self, name: str) -> Record:
        return await self.line.ended(self.jobs[name])

    def service(self, step: str) -> Service:
        return self.line.service(step)

    async def rows(self, name: str, step: str) -> list[Json]:
        return await self.line.ledger(step, self.jobs[name])

    async def turned_away(self, name: str, step: str) -> int:
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
        await line.images.arm(*armed(scenarios, "image"))
        await line.videos.arm(*armed(scenarios, "video"))
        jobs = {
            name: await line.submit(name, **scenario.fields) for name, scenario in scenarios.items()
        }
        yield Crowd(line, jobs)
