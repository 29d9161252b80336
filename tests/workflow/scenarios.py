"""Many jobs at once, each with a trouble of its own: their pauses overlap, their books don't."""

import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from temporalio.client import Client

from shared.jobs.messages import Record
from shared.jobs.states import Status
from tests.services.mock_core.serving import Json
from tests.workflow.pipeline import Pipeline, once, up_to, working


@dataclass(frozen=True)
class Trouble:
    """Rules for a stage's vendor, and what they cost: the attempts that the record counts, the
    generations that the vendor accepts, and the submits that it turns away."""

    rules: tuple[Json, ...]
    attempts: int = 1
    accepted: int = 1
    turned_away: int = 0
    is_fatal: bool = False


def rule(where: str, do: str, *, often: Json | None = None, **params: Any) -> Json:
    return {"where": where, "do": do, "with": params, "often": often or {}}


FIRST: Json = {"first": 1}
FIRST_TWO: Json = {"first": 2}
FIRST_ATTEMPT: Json = {"attempts": 1}


def _turned_away(do: str, **params: Any) -> Trouble:
    return Trouble((rule("submit", do, often=FIRST_TWO, **params),), turned_away=2)


def _lost(how: str) -> Trouble:
    return Trouble((rule("submit", "lose-reply", often=FIRST, how=how),))


def _file(do: str, often: Json, attempts: int, **params: Any) -> Trouble:
    return Trouble((rule("result", do, often=often, **params),), attempts, attempts)


FOR_EITHER_STAGE: dict[str, Trouble] = {
    "fails three times": Trouble((rule("start", "fail", often={"attempts": "1-3"}),), 4, 4),
    "fails always": Trouble((rule("start", "fail", message="out of luck"),), 4, 4, is_fatal=True),
    "refused for good": Trouble(
        (rule("submit", "refuse", code=1301, status=400, message="risky content"),),
        attempts=0,
        accepted=0,
        turned_away=1,
        is_fatal=True,
    ),
    "503 twice": _turned_away("refuse", status=503, retry_after=0),
    "full twice": _turned_away("refuse", code=1303, status=429, retry_after=0),
    "reset twice": _turned_away("reset"),
    "reply lost": _lost("reset"),
    "reply lost as 504": _lost("504"),
    "file truncated": _file("truncate", FIRST_ATTEMPT, 2),
    "file gone": _file("refuse", FIRST_ATTEMPT, 2, status=404),
    "file truncated at first": _file("truncate", FIRST, 1),
    "file 503 at first": _file("refuse", FIRST, 1, status=503),
    "forgotten": Trouble((rule("start", "vanish", often=FIRST_ATTEMPT, at=50),), 2, 2),
    "polls fail": Trouble((rule("poll", "refuse", often={"first": 3}, status=500),)),
}


@dataclass(frozen=True)
class Scenario:
    """A trouble at one of the stages, and what the job asks for."""

    step: str
    trouble: Trouble
    fields: Json = field(default_factory=dict)


@dataclass
class Crowd:
    """The jobs of some scenarios, by the scenario's name."""

    line: Pipeline
    scenarios: Mapping[str, Scenario]
    jobs: dict[str, str]

    async def record(self, name: str) -> Record:
        return await self.line.ended(self.jobs[name])

    async def rows(self, name: str) -> list[Json]:
        """What its vendor has of a scenario's job."""
        return await self.line.ledger(self.scenarios[name].step, self.jobs[name])

    async def costs(self, name: str) -> Record:
        """The record of a job that must have cost what its trouble costs, by every book."""
        record, step = await self.record(name), self.scenarios[name].step
        trouble = self.scenarios[name].trouble
        assert record.status is (Status.FAILED if trouble.is_fatal else Status.SUCCEEDED)
        counts = (
            up_to(step, trouble.attempts) if trouble.is_fatal else once(**{step: trouble.attempts})
        )
        assert record.attempts == counts
        assert [row["external_id"] for row in await self.rows(name)] == [
            f"{record.job_id}.{step}.{number}" for number in range(1, trouble.accepted + 1)
        ]
        assert await self._turned_away(name) == trouble.turned_away
        return record

    async def _turned_away(self, name: str) -> int:
        """How many submits of one scenario's job its vendor has not taken."""
        trace = (await self.line.service(self.scenarios[name].step).json("/admin/trace"))["rows"]
        return sum(
            row["where"] == "submit" and row["do"] in ("refuse", "reset")
            for row in trace
            if (row["external_id"] or "").startswith(self.jobs[name])
        )


# One process does the work of six services here.
AT_ONCE = 10


@contextlib.asynccontextmanager
async def crowd_of(
    scenarios: Mapping[str, Scenario], client: Client, data_dir: Path, **settings: Any
) -> AsyncIterator[Crowd]:
    """All scenarios' jobs under way, through a wide gate."""
    async with working(client, data_dir, **settings) as line:
        await line.change(limit=AT_ONCE)
        for step in ("image", "video"):
            # Each rule is bound to the prompt that names its scenario.
            rules = [
                {**each, "match": {"prompt": name, "external_id": f"*.{step}.*"}}
                for name, scenario in scenarios.items()
                if scenario.step == step
                for each in scenario.trouble.rules
            ]
            await line.service(step).arm(*rules)
        jobs = {
            name: await line.submit(name, **scenario.fields) for name, scenario in scenarios.items()
        }
        yield Crowd(line, scenarios, jobs)
