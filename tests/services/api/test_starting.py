"""Few starts are with the server at a time, so that new jobs don't hold up those that run."""

import asyncio
from typing import Any, cast

import pytest

from services.api import temporal
from services.api.temporal import STARTS_AT_ONCE, Temporal
from shared.errors import TemporalUnavailable
from shared.jobs.messages import JobInput


class SlowServer:
    """Answers a start when it is told to."""

    def __init__(self) -> None:
        self.asked = 0
        self.answers = asyncio.Semaphore(0)

    async def start_workflow(self, *_: object, **__: object) -> None:
        self.asked += 1
        await self.answers.acquire()


def started(server: SlowServer, count: int) -> list["asyncio.Task[None]"]:
    ours = Temporal(cast(Any, server))
    return [
        asyncio.create_task(ours.start(f"job-{number}", JobInput(prompt="p", style="")))
        for number in range(count)
    ]


async def all_that_can(tasks: list["asyncio.Task[None]"]) -> None:
    """Return when none of them can go on by itself."""
    for _ in range(10 * len(tasks)):
        await asyncio.sleep(0)


async def test_one_more_waits_for_an_answer() -> None:
    server = SlowServer()
    tasks = started(server, STARTS_AT_ONCE + 1)
    await all_that_can(tasks)
    assert server.asked == STARTS_AT_ONCE
    server.answers.release()
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    await all_that_can(tasks)
    assert server.asked == STARTS_AT_ONCE + 1
    for _ in tasks:
        server.answers.release()
    await asyncio.gather(*tasks)


async def test_patience_ends_with_what_can_be_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(temporal, "START_PATIENCE", 0.01)
    server = SlowServer()
    *begun, late = started(server, STARTS_AT_ONCE + 1)
    with pytest.raises(TemporalUnavailable, match="too slowly"):
        await late
    assert server.asked == STARTS_AT_ONCE
    for _ in begun:
        server.answers.release()
    await asyncio.gather(*begun)
