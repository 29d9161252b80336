"""The slot steered from outside: pause, resume, how many wait; and its semaphore's history."""

import asyncio
from collections.abc import Callable
from typing import Any

from loadtest.wire.http import Unreachable
from shared.slot.messages import JOB_GATE, VIEW_QUERY, semaphore_id
from tests.bench.pipeline.stack import StackUnderTest

SEMAPHORE = semaphore_id(JOB_GATE)


async def pause(stack: StackUnderTest, paused: bool) -> None:
    """Returns when it is in force."""
    await _change(stack, {"paused": paused})


async def limit(stack: StackUnderTest, jobs: int) -> None:
    """So many may hold from here on."""
    await _change(stack, {"limit": jobs})


async def _change(stack: StackUnderTest, change: dict[str, Any]) -> None:
    answer = await stack.http.put("/slots", change)
    if not answer.ok:
        raise Unreachable(f"PUT /slots: {answer.problem}")


async def until(
    stack: StackUnderTest, reached: Callable[[dict[str, Any]], bool], *, every: float
) -> None:
    """Return when the semaphore's own view is so; asked of the semaphore, not of the API."""
    semaphore = stack.client.get_workflow_handle(SEMAPHORE)
    while True:
        if reached(await semaphore.query(VIEW_QUERY)):
            return
        await asyncio.sleep(every)


def holders(view: dict[str, Any]) -> list[str]:
    """The jobs that hold the slot in a view of the semaphore."""
    return [str(holder["job_id"]) for holder in view["holders"]]


async def waiting(stack: StackUnderTest) -> int:
    """How many wait now."""
    view = await stack.client.get_workflow_handle(SEMAPHORE).query(VIEW_QUERY)
    return int(view["waiting_count"])


async def history(stack: StackUnderTest) -> tuple[int, list[int]]:
    """Events of all the semaphore's runs so far, and how many each ended one had at turn-over."""
    runs = [run async for run in stack.client.list_workflows(f"WorkflowId = '{SEMAPHORE}'")]
    newest = (await stack.client.get_workflow_handle(SEMAPHORE).describe()).history_length
    ended = [run.history_length for run in runs if run.close_time is not None]
    return sum(ended) + newest, ended
