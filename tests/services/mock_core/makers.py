"""Parts of a mock without a wire, for tests of single pieces."""

import itertools
from typing import Any

from services.mock_core.clock import Clock
from services.mock_core.faults.kinds import Where
from services.mock_core.faults.plan import FaultPlan
from services.mock_core.faults.rules import read_plan
from services.mock_core.ledger import Generation, Job, JobIndex

_numbers = itertools.count(1)


def make_plan(
    *rules: dict[str, Any], seed: int = 0, service: str = "video", clock: Clock | None = None
) -> FaultPlan:
    clock = clock or Clock(1000)
    plan = FaultPlan(service, points=frozenset(Where), seed=seed, clock=clock, keep=1_000_000)
    wanted = read_plan({"rules": list(rules), "seed": seed})
    plan.replace(wanted.rules, wanted.seed)
    return plan


def make_job(prompt: str = "cat") -> Job:
    return JobIndex().find(None, prompt)[0]


def make_generation(job: Job | None = None, *, attempt: int = 1, **members: Any) -> Generation:
    number = next(_numbers)
    given: dict[str, Any] = {
        "id": f"v-{number}",
        "external_id": f"job-{number}.video.{attempt}",
        "job": job or make_job(),
        "attempt": attempt,
        "prompt": "cat",
        "style": "",
        "base_url": "http://mock",
        **members,
    }
    return Generation(**given)
