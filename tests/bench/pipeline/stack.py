"""What every benchmark talks to; a stack of its own, so that nothing else is disturbed."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from temporalio.client import Client

from loadtest.run.preflight import preflight
from loadtest.settings import Settings
from loadtest.wire.api import Api
from loadtest.wire.http import Http, Unreachable
from loadtest.wire.processes import addresses
from loadtest.wire.temporal import Temporal, connect
from loadtest.wire.vendor import Vendor

READY_SECONDS = 60.0
AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class StackUnderTest:
    """Connections to the stack that is measured."""

    settings: Settings
    client: Client
    temporal: Temporal
    server: str
    http: Http
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


@contextlib.asynccontextmanager
async def open_stack(settings: Settings) -> AsyncIterator[StackUnderTest]:
    """Connections for as long as a benchmark lasts; raises NotReachable before anything starts."""
    temporal, server = await preflight(settings)
    async with contextlib.AsyncExitStack() as exits:
        http = await exits.enter_async_context(
            Http(settings.api_url, timeout=60, connections=64, token=settings.api_token)
        )
        urls = {"image": settings.image_service_url, "video": settings.video_service_url}
        vendors = {
            step: Vendor(await exits.enter_async_context(Http(url, timeout=60)), step)
            for step, url in urls.items()
        }
        client = await connect(settings)
        yield StackUnderTest(settings, client, temporal, server, http, Api(http), vendors)


async def _until_ready(url: str) -> None:
    async with Http(url, timeout=2, connections=1) as http:
        while True:
            with contextlib.suppress(Unreachable):
                if (await http.get("/readyz")).ok:
                    return
            await asyncio.sleep(0.1)
