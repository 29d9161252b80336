"""What the page reckons without an element, in the browser that runs it: one page for them all."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio

from tests.fixtures.browser import Chromium
from tests.services.api.dashboard.conftest import lonely_place, nobody_else

Reckon = Callable[..., Awaitable[Any]]

CALL = """async ([module, name, values]) => {
  const found = (await import(`/dashboard/${module}`))[name];
  return found(...values);
}"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def reckon(
    chromium: Chromium, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Reckon]:
    """Calls what a module of the page exports."""
    place = await lonely_place(tmp_path_factory.mktemp("api"), nobody_else())
    icon = f"{place.base}/dashboard/icon.svg"
    async with place.running(), chromium.page(icon) as page:

        async def call(module: str, name: str, *values: Any) -> Any:
            return await page.evaluate(CALL, [module, name, values])

        yield call


def job(status: str, **fields: Any) -> dict[str, Any]:
    known = {"job_id": "job-1", "status": status, "step": None, "asset_url": None, "percent": 0}
    return {**known, **fields}


async def test_what_was_paid_for_is_there_however_the_job_ended(reckon: Reckon) -> None:
    async def seen(given: dict[str, Any]) -> list[bool]:
        return [await reckon("data/jobs.js", name, given) for name in ("hasImage", "hasVideo")]

    stored = {"image": "http://x/jobs/job-1/image", "video": "http://x/jobs/job-1/video"}
    assert await seen(job("cancelled", step="image")) == [False, False]
    assert await seen(job("cancelled", step="image", asset_url=stored["image"])) == [True, False]
    assert await seen(job("failed", step="video", asset_url=stored["video"])) == [True, True]
    assert await seen(job("succeeded", asset_url=stored["video"])) == [True, True]


async def test_a_rule_is_told_in_its_own_words(reckon: Reckon) -> None:
    rule = {"often": {"probability": 0.15, "attempts": "1-2"}, "match": {"share": 0.5, "tag": "t*"}}
    assert await reckon("data/mocks.js", "oftenOf", rule) == "probability 0.15, attempts 1-2"
    assert await reckon("data/mocks.js", "whomOf", rule) == "share 0.5, tag t*"
    ends = {"until": {"count": 3}, "after": {"seconds": 2}}
    assert await reckon("data/mocks.js", "oftenOf", ends) == "after seconds 2, until count 3"
    assert await reckon("data/mocks.js", "oftenOf", {}) == "always"
    assert await reckon("data/mocks.js", "whomOf", {}) == "every job"


async def test_how_many_workers_are_left_is_told(reckon: Reckon) -> None:
    async def alarm(**ready: bool) -> Any:
        services = [{"name": name.replace("_", " "), "ready": up} for name, up in ready.items()]
        return await reckon("views/health.js", "alarmOf", services)

    assert await alarm(api=True, worker_1=True, worker_2=False) == "1 of 2 workers"
    assert await alarm(api=True, worker_1=False, worker_2=False) == "2 services not ready"
    assert await alarm(api=False, worker_1=True, worker_2=False) == "api not ready, 1 of 2 workers"
    assert await alarm(api=True, worker=False) == "worker not ready"


async def test_who_waits_for_temporal_is_not_counted_beside_it(reckon: Reckon) -> None:
    async def alarm(**details: str) -> Any:
        services = [
            {"name": name, "ready": detail == "ready", "detail": detail}
            for name, detail in details.items()
        ]
        return await reckon("views/health.js", "alarmOf", services)

    waits = "temporal: does not answer"
    away = "does not answer"
    assert await alarm(temporal=away, callback=waits, worker=waits) == "temporal not ready"
    assert await alarm(temporal=away, callback=away) == "2 services not ready"
    assert await alarm(temporal="ready", callback=waits) == "callback not ready"


async def test_jobs_are_chosen_by_their_age(reckon: Reckon) -> None:
    old = job("failed", created_at="2026-01-01T00:00:00Z")
    new = job("failed", created_at="2126-01-01T00:00:00Z")

    async def fits(given: dict[str, Any], within: str) -> Any:
        return await reckon("data/jobs.js", "fits", given, {"within": within})

    assert [await fits(each, "1h") for each in (old, new)] == [False, True]
    assert [await fits(old, within) for within in ("", "no such span")] == [True, True]
