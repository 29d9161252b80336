"""How fast the semaphore takes requests in, one by one and in lists; it is paused meanwhile."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from shared.semaphore.messages import REQUEST_SIGNAL, SlotRequest
from tools.bench.stack import SEMAPHORE, StackUnderTest
from tools.bench.table import Figure

PART = "intake"
LIST = 100
AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class Rates:
    """Requests a second, from the first signal until all stand in the queue."""

    single: float
    bulk: float


async def measure(
    stack: StackUnderTest, runs: int, *, single: int, bulk: int, note: Callable[[str], None]
) -> list[Figure]:
    """The requests name runs that there are not; they stay in the queue of this stack."""
    await stack.pause(True)
    found = []
    for _ in range(runs):
        found.append(Rates(await _rate(stack, single, 1), await _rate(stack, bulk, LIST)))
        note(f"{found[-1].single:.0f}/s one by one, {found[-1].bulk:.0f}/s in bulk")
    return figures(found)


async def _rate(stack: StackUnderTest, count: int, size: int) -> float:
    wanted = await stack.waiting() + count
    semaphore, gate = stack.client.get_workflow_handle(SEMAPHORE), asyncio.Semaphore(AT_ONCE)

    async def send(requests: list[dict[str, Any]]) -> None:
        async with gate:
            await semaphore.signal(REQUEST_SIGNAL, requests)

    requests = [_request() for _ in range(count)]
    began = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for start in range(0, count, size):
            group.create_task(send(requests[start : start + size]))
    await stack.until(lambda view: view["waiting_count"] >= wanted, every=0.02)
    return count / (time.monotonic() - began)


def _request() -> dict[str, Any]:
    request = SlotRequest(
        job_id=f"job-{uuid4().hex[:24]}", run_id=str(uuid4()), requested_at=datetime.now(UTC)
    )
    return request.model_dump(mode="json")


def figures(found: Sequence[Rates]) -> list[Figure]:
    """The table's lines."""

    def line(name: str, values: Sequence[float]) -> Figure:
        rounded = tuple(round(value, 1) for value in values)
        return Figure(
            part=PART,
            name=f"requests taken in by the semaphore, {name}",
            unit="1/s",
            values=rounded,
        )

    return [
        line("one by one", [rates.single for rates in found]),
        line("in bulk", [rates.bulk for rates in found]),
    ]
