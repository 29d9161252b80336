"""The same seed gives the same trace at any parallelism, and an exported one plays again."""

import asyncio
import random
from typing import Any

from tests.services.mock_core.serving import Json, Service, kling, running

PLAN: list[Json] = [
    {"where": "submit", "do": "refuse", "with": {"code": 1302}, "often": {"probability": 0.3}},
    {"where": "submit", "do": "lose-reply", "with": {"how": "500"}, "often": {"probability": 0.2}},
    {"where": "start", "do": "slow", "with": {"factor": 1, "extra": "lognormal:5,0.5"}},
    {"where": "start", "do": "fail", "often": {"probability": 0.4, "attempts": 1}},
    {"where": "callback", "do": "lose", "often": {"probability": 0.5}},
    {"where": "poll", "do": "refuse", "often": {"probability": 0.3, "first": 1}},
]
JOBS = 10


async def _live(service: Service, number: int, admission: asyncio.Semaphore) -> None:
    """One job as a patient client would push it through two attempts."""
    async with admission:
        for attempt in (1, 2):
            await _attempt(service, number, attempt)


async def _attempt(service: Service, number: int, attempt: int) -> None:
    external_id = f"job-{random.SystemRandom().randrange(10**9)}-{number}.video.{attempt}"
    body = {
        "image_url": "http://127.0.0.1:9/none.png",
        "prompt": f"prompt {number}",
        "external_task_id": external_id,
        "callback_url": "http://127.0.0.1:9/callback",
    }
    while (reply := await service.post("/video/submit", body)).status_code == 429:
        pass
    assert reply.status_code in (202, 500)
    await service.http.get(f"/video/status/{external_id}")


async def _run(plan: Json, *, at_once: int) -> tuple[set[tuple[Any, ...]], Json]:
    """What was injected, and the plan that would do it again."""
    app = kling()
    async with running(app) as service:
        reply = await service.http.put("/admin/faults", json=plan)
        assert reply.status_code == 200, reply.text
        admission = asyncio.Semaphore(at_once)
        await asyncio.gather(*(_live(service, number, admission) for number in range(JOBS)))
        await service.quiet()
        rows = (await service.json("/admin/trace"))["rows"]
        exact = await service.json("/admin/trace/plan")
    names = ("where", "do", "job_key", "attempt", "event", "status")
    return {(*(row[name] for name in names), str(row["with"])) for row in rows}, exact


async def test_the_same_seed_injects_the_same_at_any_parallelism() -> None:
    plan = {"rules": PLAN, "seed": 11}
    one, exact = await _run(plan, at_once=1)
    many, _ = await _run(plan, at_once=JOBS)
    assert {row[1] for row in one} == {"refuse", "lose-reply", "slow", "fail", "lose"}
    assert one == many
    again, _ = await _run(exact, at_once=JOBS)
    assert again == one


async def test_another_seed_injects_something_else() -> None:
    one, _ = await _run({"rules": PLAN, "seed": 11}, at_once=JOBS)
    other, _ = await _run({"rules": PLAN, "seed": 12}, at_once=JOBS)
    assert one != other
