"""The stack that is measured: connections to it, its slot, and the plain hop beside it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import uuid4

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from loadtest.books.histories import read_events
from loadtest.run.stage import background
from loadtest.settings import Settings
from loadtest.wire.api import Api
from loadtest.wire.http import Http, Unreachable
from loadtest.wire.processes import addresses
from loadtest.wire.stack import preflight
from loadtest.wire.temporal import Temporal, connect, history_rows
from loadtest.wire.vendor import Vendor
from shared.jobs.slots import JOB_GATE
from shared.semaphore.messages import VIEW_QUERY, semaphore_id

SEMAPHORE = semaphore_id(JOB_GATE)
READY_SECONDS = 60.0
AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class StackUnderTest:
    """Connections to the stack that is measured."""

    settings: Settings
    client: Client
    temporal: Temporal
    api: Api
    vendors: dict[str, Vendor]

    async def submit(self, prompt: str, tag: str = "bench") -> str:
        """The id of a new job."""
        body = {"prompt": prompt, "style": "ink", "tag": tag}
        found = await self.api.submit(body, prompt.replace(" ", "-"))
        if found.job_id is None:
            raise Unreachable(f"a job was refused: {found.problem}")
        return found.job_id

    async def submit_all(self, what: str, count: int) -> None:
        """Return when the API has taken so many."""
        name, gate = uuid4().hex[:8], asyncio.Semaphore(AT_ONCE)

        async def one(number: int) -> None:
            async with gate:
                await self.submit(f"{what} {name} {number}")

        async with asyncio.TaskGroup() as group:
            for number in range(count):
                group.create_task(one(number))

    async def rows(self, step: str, job_id: str) -> list[dict[str, Any]]:
        """A vendor's rows of one job, in the order of acceptance."""
        rows = await self.vendors[step].ledger()
        return [row for row in rows if str(row.get("external_id")).startswith(f"{job_id}.")]

    async def until_workers_ready(self) -> None:
        """Return when every worker answers; raises TimeoutError."""
        known = addresses(self.settings)
        workers = [url for name, url in known.items() if name.startswith("worker")]
        async with asyncio.timeout(READY_SECONDS):
            await asyncio.gather(*map(_until_ready, workers))

    async def pause(self, paused: bool) -> None:
        """Return when it is in force."""
        await self._change({"paused": paused})

    async def limit(self, jobs: int) -> None:
        """Let this many jobs hold the slot from now on."""
        await self._change({"limit": jobs})

    async def _change(self, change: dict[str, Any]) -> None:
        answer = await self.api.put("/slots", json=change)
        answer.raise_for_status()

    async def view(self) -> dict[str, Any]:
        """The semaphore's own view; not that of the API."""
        found = await self.client.get_workflow_handle(SEMAPHORE).query(VIEW_QUERY)
        return dict(found)

    async def until(self, reached: Callable[[dict[str, Any]], bool], *, every: float) -> None:
        """Return when the semaphore's view is so."""
        while True:
            if reached(await self.view()):
                return
            await asyncio.sleep(every)

    async def waiting(self) -> int:
        return int((await self.view())["waiting_count"])

    async def history(self) -> tuple[int, list[int]]:
        """Events of all the semaphore's runs, and how many each ended one had at its end."""
        runs = [run async for run in self.client.list_workflows(f"WorkflowId = '{SEMAPHORE}'")]
        newest = (await self.client.get_workflow_handle(SEMAPHORE).describe()).history_length
        ended = [run.history_length for run in runs if run.close_time is not None]
        return sum(ended) + newest, ended


@contextlib.asynccontextmanager
async def open_stack(settings: Settings) -> AsyncIterator[StackUnderTest]:
    """Connections for as long as a benchmark lasts; raises NotReachable before anything starts."""
    temporal = await preflight(settings)
    async with contextlib.AsyncExitStack() as exits:
        api = await exits.enter_async_context(
            Api(settings.api_url, timeout=60, connections=64, token=settings.api_token)
        )
        urls = {"image": settings.image_service_url, "video": settings.video_service_url}
        vendors = {
            step: await exits.enter_async_context(Vendor(step, url, timeout=60))
            for step, url in urls.items()
        }
        client = await connect(settings)
        yield StackUnderTest(settings, client, temporal, api, vendors)


async def _until_ready(url: str) -> None:
    async with Http(url, timeout=2, connections=1) as http:
        while True:
            with contextlib.suppress(Unreachable):
                if (await http.get("/readyz")).is_success:
                    return
            await asyncio.sleep(0.1)


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
    """Seconds of one hop after the other, for as long as the block runs, and of one before it."""
    async with at_work(client):
        # The first one pays for everything that happens once. A block may end before its first.
        await _one(client, temporal)
        found = await _one(client, temporal)
        async with background(_sample(client, temporal, found)):
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
    while True:
        await asyncio.sleep(PAUSE_SECONDS)
        found += await _one(client, temporal)


async def _one(client: Client, temporal: Temporal) -> list[float]:
    """The time from the first activity's end to the second one's start, by the server's clock."""
    name = await bare(client)
    events = await temporal.history(name)
    return read_events(name, history_rows(name, events)).hops if events else []
