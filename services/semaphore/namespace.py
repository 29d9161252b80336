"""`python -m services.semaphore.namespace look|add|make [DAYS]`: the namespace, and what it lacks.

`look` changes nothing; `add` adds search attributes if it may; `make` also creates the namespace,
which keeps closed jobs for DAYS. The last line is an `Outlook` as JSON; AWAY if the server does not
answer.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from datetime import timedelta

from google.protobuf.duration_pb2 import Duration
from pydantic import BaseModel, computed_field
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError

from services.semaphore.attributes import add_search_attributes
from shared.errors import TemporalRefuses, TemporalUnavailable
from shared.process_exit import run_and_exit
from shared.semaphore.server import names_namespace
from shared.settings.payloads import PayloadSettings
from shared.telling import AWAY, CONNECT_SECONDS, tell
from shared.temporal.client import answer, connect
from shared.temporal.namespace import TYPES, described, missing_attributes, see_namespace
from shared.temporal.refusals import refusal

LOOK, ADD, MAKE = "look", "add", "make"
USUAL_DAYS = 3
# Every host of a server knows new names within this time.
SPREAD_SECONDS = 60.0
POLL_SECONDS = 0.25


class Outlook(BaseModel):
    """The findings. `missing`: attributes and their types; `instead`: the types that they have;
    `forbidden`: why nothing was fixed; `refused`: why it could not be read."""

    namespace: str = ""
    there: bool = False
    missing: dict[str, str] = {}
    instead: dict[str, str] = {}
    done: list[str] = []
    forbidden: str = ""
    refused: str = ""

    @computed_field
    def wrong(self) -> str:
        """All of it in a sentence; empty if nothing is missing."""
        if self.refused or (self.there and not self.missing):
            return self.refused
        names = ", ".join(described(name, self.instead.get(name, "")) for name in self.missing)
        lacks = f"namespace {self.namespace} lacks search attributes: {names}"
        wrong = lacks if self.there else f"Temporal has no namespace {self.namespace}"
        return f"{wrong}; fixing it is not allowed ({self.forbidden})" if self.forbidden else wrong


def namespace(what: str, days: int = USUAL_DAYS) -> int:
    """Read or fix the namespace, and report; AWAY if the server does not answer."""
    try:
        outlook = asyncio.run(_outlook(what, days))
    except TemporalRefuses as refused:
        outlook = Outlook(refused=refused.message)
    except TemporalUnavailable as error:
        sys.stderr.write(f"{error}\n")
        return AWAY
    tell(outlook.model_dump())
    return 0


async def _outlook(what: str, days: int) -> Outlook:
    client = await answer(connect(PayloadSettings().payload_keys), seconds=CONNECT_SECONDS)
    outlook = Outlook(namespace=client.namespace, missing=dict(TYPES))
    try:
        await _see(client, outlook, what=what, days=days)
    except RPCError as error:
        outlook.forbidden = error.message
    return outlook


async def _see(client: Client, outlook: Outlook, *, what: str, days: int) -> None:
    """Fill in the findings, and fix what is asked for; raise RPCError if it is forbidden."""
    outlook.there = await _is_there(client)
    if not outlook.there:
        if what != MAKE:
            return
        await _make(client, days)
        outlook.there = True
        outlook.done.append(f"namespace {client.namespace}")
    missing = await answer(missing_attributes(client))
    outlook.missing = {name: TYPES[name] for name in missing}
    outlook.instead = {name: instead for name, instead in missing.items() if instead}
    if missing and not outlook.instead and what != LOOK:
        await add_search_attributes(client, missing)
        await _until(lambda: _has_all(client))
        outlook.done += [f"search attribute {described(name)}" for name in missing]
        outlook.missing = {}


async def _is_there(client: Client) -> bool:
    """True if the namespace exists; raise TemporalRefuses if we may not know."""
    try:
        await see_namespace(client)
    except RPCError as error:
        if names_namespace(error):
            return False
        if (refused := refusal(error)) is not None:
            raise refused from error
        raise
    return True


async def _has_all(client: Client) -> bool:
    return not await missing_attributes(client)


async def _make(client: Client, days: int) -> None:
    kept = Duration()
    kept.FromTimedelta(timedelta(days=days))
    request = RegisterNamespaceRequest(
        namespace=client.namespace, workflow_execution_retention_period=kept
    )
    await client.workflow_service.register_namespace(request)
    await _until(lambda: _is_known(client))


async def _is_known(client: Client) -> bool:
    """True if every part of the server knows it."""
    try:
        await missing_attributes(client)
    except RPCError as error:
        if not names_namespace(error):
            raise
        return False
    return True


async def _until(seen: Callable[[], Awaitable[bool]]) -> None:
    """Return when it is visible; raise TemporalUnavailable if that takes too long."""
    try:
        async with asyncio.timeout(SPREAD_SECONDS):
            while True:
                if await seen():
                    return
                await asyncio.sleep(POLL_SECONDS)
    except TimeoutError as error:
        raise TemporalUnavailable("The namespace is not visible yet; try again.") from error


if __name__ == "__main__":
    run_and_exit(lambda: sys.exit(namespace(sys.argv[1], *map(int, sys.argv[2:]))))
