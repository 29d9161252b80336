"""The plain hop: two activities that do nothing, one after the other, on the same server.

Every other figure stands beside it, since it says how fast the machine was at that moment.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import uuid4

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from loadtest.collect.histories import summarise
from loadtest.run.stage import background
from loadtest.wire.temporal import Temporal

QUEUE = "bench-hop"
PAUSE_SECONDS = 0.3
_TIMEOUT = timedelta(minutes=1)


@activity.defn(name="nothing")
async def nothing() -> None:
    """Done."""


@workflow.defn(name="PlainHop")
class PlainHop:
    """As plain as a workflow can be."""

    @workflow.run
    async def run(self) -> None:
        for _ in range(2):
            await workflow.execute_activity(nothing, start_to_close_timeout=_TIMEOUT)


@contextlib.asynccontextmanager
async def hops(client: Client, temporal: Temporal) -> AsyncIterator[list[float]]:
    """Seconds of one hop after the other, for as long as the block runs."""
    found: list[float] = []
    async with at_work(client), background(_sample(client, temporal, found)):
        yield found


def at_work(client: Client) -> Worker:
    """A worker of nothing but these workflows."""
    return Worker(
        client,
        task_queue=QUEUE,
        workflows=[PlainHop],
        activities=[nothing],
        workflow_runner=UnsandboxedWorkflowRunner(),
    )


async def bare(client: Client) -> str:
    """Run one such workflow to its end; its id."""
    name = f"bench-hop-{uuid4().hex}"
    await client.execute_workflow(PlainHop.run, id=name, task_queue=QUEUE)
    return name


async def _sample(client: Client, temporal: Temporal, found: list[float]) -> None:
    # The first one pays for everything that happens once.
    await _one(client, temporal)
    while True:
        found += await _one(client, temporal)
        await asyncio.sleep(PAUSE_SECONDS)


async def _one(client: Client, temporal: Temporal) -> list[float]:
    """The time from the first activity's end to the second one's start, by the server's clock."""
    name = await bare(client)
    events = await temporal.history(name)
    return list(summarise(name, events)["hops"]) if events else []
