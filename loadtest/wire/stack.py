"""The stack as a run reaches it, and the check that all of it answers."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass
from typing import Any

from loadtest.settings import Settings
from loadtest.wire.api import Api
from loadtest.wire.http import Http, Unreachable
from loadtest.wire.processes import MOCKS
from loadtest.wire.temporal import Temporal
from loadtest.wire.vendor import Vendor
from shared.jobs.genvideo import GENVIDEO
from shared.pipeline.definition import Definition


class NotReachable(Exception):
    """What of the stack did not answer, a line each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Stack:
    settings: Settings
    temporal: Temporal
    pipeline: Definition
    api: Api
    receiver: Http
    vendors: tuple[Vendor, ...]


async def preflight(settings: Settings, pipeline: Definition = GENVIDEO) -> Temporal:
    """Return Temporal's client; raise NotReachable for all that does not answer."""
    found: list[Temporal] = []
    problems: list[str] = []

    async def server() -> None:
        found.append(await Temporal.connect(settings))
        await found[0].server()

    async def service(url: str, path: str) -> None:
        async with Http(url, timeout=5) as http:
            await http.read(path)

    async def noted(name: str, asked: Coroutine[Any, Any, None]) -> None:
        try:
            await asked
        except Unreachable as error:
            problems.append(f"{name}: {error}")

    await asyncio.gather(
        noted("temporal", server()),
        noted("api", service(settings.api_url, "/readyz")),
        noted("callback", service(settings.callback_url, "/healthz")),
        *(
            noted(MOCKS.get(vendor, f"mock-{vendor}"), service(url, "/admin/stats"))
            for vendor, url in settings.mocks_of(pipeline).items()
        ),
    )
    if problems:
        raise NotReachable(sorted(problems))
    return found[0]


@contextlib.asynccontextmanager
async def open_stack(
    settings: Settings, temporal: Temporal, pipeline: Definition = GENVIDEO
) -> AsyncIterator[Stack]:
    """Open connections to the stack, and to the mocks of a pipeline, for as long as a run lasts."""
    mocks = settings.mocks_of(pipeline).items()
    async with contextlib.AsyncExitStack() as exits:
        api = Api(settings.api_url, timeout=30, token=settings.api_token)
        receiver = Http(settings.callback_url, token=settings.operator_key)
        vendors = tuple(Vendor(name, url, timeout=60) for name, url in mocks)
        for http in (api, receiver, *vendors):
            await exits.enter_async_context(http)
        yield Stack(settings, temporal, pipeline, api, receiver, vendors)
