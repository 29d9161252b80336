"""How jobs are started and cancelled: few at a time."""

import asyncio
from collections.abc import Coroutine
from typing import Any, cast

import pytest

from services.api import temporal
from services.api.temporal import CANCELS_AT_ONCE, STARTS_AT_ONCE, Temporal
from shared.errors import TemporalUnavailable
from shared.jobs.genvideo import GenVideoInput


class SlowServer:
    """Answers a start or a cancel when the test lets it."""

    def __init__(self) -> None:
        self.asked = 0
        self.answers = asyncio.Semaphore(0)

    async def start_workflow(self, *_: object, **__: object) -> None:
        self.asked += 1
        await self.answers.acquire()

    def get_workflow_handle(self, *_: object, **__: object) -> "SlowServer":
        return self

    async def cancel(self, **_: object) -> None:
        await self.start_workflow()


def begun(server: SlowServer, count: int, what: str) -> list["asyncio.Task[object]"]:
    ours = Temporal(cast(Any, server))

    def call(job_id: str) -> Coroutine[Any, Any, object]:
        if what == "cancel":
            return ours.cancel(job_id)
        return ours.start(job_id, GenVideoInput(prompt="p", style=""))

    return [asyncio.create_task(call(f"job-{number}")) for number in range(count)]


async def all_that_can(tasks: list["asyncio.Task[object]"]) -> None:
    """Return when none of them can go on by itself."""
    for _ in range(10 * len(tasks)):
        await asyncio.sleep(0)


AT_ONCE = pytest.mark.parametrize(
    ("what", "most"), [("start", STARTS_AT_ONCE), ("cancel", CANCELS_AT_ONCE)]
)


@AT_ONCE
async def test_one_more_waits_for_an_answer(what: str, most: int) -> None:
    server = SlowServer()
    tasks = begun(server, 160, what)
    await all_that_can(tasks)
    assert server.asked == most
    server.answers.release()
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    await all_that_can(tasks)
    assert server.asked == most + 1
    for _ in tasks:
        server.answers.release()
    await asyncio.gather(*tasks)
    assert server.asked == len(tasks)


@AT_ONCE
async def test_retries_end_when_the_time_is_up(
    monkeypatch: pytest.MonkeyPatch, what: str, most: int
) -> None:
    monkeypatch.setattr(temporal, f"{what.upper()}_PATIENCE", 0.01)
    server = SlowServer()
    *first, late = begun(server, most + 1, what)
    with pytest.raises(TemporalUnavailable, match="too slowly"):
        await late
    assert server.asked == most
    for _ in first:
        server.answers.release()
    await asyncio.gather(*first)
